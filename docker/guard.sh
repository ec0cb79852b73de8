# What the scripts beside this one have in common; they source it.

die() {
    echo "$(basename "$0"): $*" >&2
    exit 2
}

# Ray listens on every interface of the machine, whatever address it is given: refuse to start it without a token.
guard_ray() {
    [ "${KD_INSECURE:-}" = 1 ] && return
    if [ "${RAY_AUTH_MODE:-}" != token ]; then
        die "refused: whoever reaches this machine could run any code on it. Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH" \
            "to a file with a secret token that all nodes have; or say --insecure"
    fi
    [ -n "${RAY_AUTH_TOKEN:-}" ] || [ -s "${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}" ] ||
        die "RAY_AUTH_MODE is token, but there is none: set RAY_AUTH_TOKEN_PATH to the file that holds it"
}

# Jobs start `python`: let that be Ray's own.
use_rays_python() {
    ray=$(command -v ray) || die "there is no ray on PATH"
    PATH=$(dirname "$ray"):$PATH
    export PATH
}
