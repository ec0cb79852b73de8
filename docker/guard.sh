# What the scripts beside this one have in common; they source it.

die() {
    echo "$(basename "$0"): $*" >&2
    exit 2
}

# Whether an address is reached from this machine alone.
is_loopback() {
    case $1 in 127.* | localhost | ::1) return 0 ;; *) return 1 ;; esac
}

# Put what the file $NAME_FILE holds into $NAME.
from_file() {
    eval "file=\${$1_FILE:-}"
    [ -n "$file" ] || return 0
    [ -r "$file" ] || die "$1_FILE: cannot read $file"
    eval "$1=\$(cat \"\$file\"); export $1"
    unset "$1_FILE"
}

# A configuration of MLflow's basic auth that keeps its users in the same database. It holds no secret.
made_auth_config() {
    file=$(mktemp -t mlflow-auth.XXXXXX)
    uri=$(printf %s "$MLFLOW_BACKEND_STORE_URI" | sed 's/%/%%/g')
    printf '[mlflow]\ndefault_permission = READ\ndatabase_uri = %s\nadmin_username = admin\n' "$uri" >"$file"
    echo "$file"
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
