"""Where MLflow is, and how it is shown."""

import pytest

from orchestrator.tracking.location import TrackingLocation


@pytest.mark.parametrize(
    ("uri", "shown", "secret"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000", None),
        ("https://kim:p%40ss@host/path", "https://host/path", "p%40ss"),
        ("https://kim:p%40ss@host/path", "https://host/path", "p@ss"),
        ("postgresql://kim:a/b@c@host:5432/mlflow", "postgresql://host:5432/mlflow", "a/b@c"),
        ("mysql+pymysql://kim@host/mlflow", "mysql+pymysql://host/mlflow", "kim@"),
        ("postgresql://host/mlflow?user=kim&password=p%40ss", "postgresql://host/mlflow?user=kim&password=***", "p@ss"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db", None),
    ],
)
def test_a_location_is_shown_without_user_and_password(tmp_path, uri, shown, secret):
    location = TrackingLocation(uri, tmp_path)
    assert location.shown == shown
    if secret:
        assert secret not in location.hide(f"failed at {uri}, really: {secret}")
        assert uri not in repr(location)
    assert location.hide("other https://u:secret@x") == "other https://***@x"
