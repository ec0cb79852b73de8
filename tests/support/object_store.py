"""An S3 of moto's on loopback, in this process, and places in it."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

SECRET = "a-secret-that-nobody-may-see"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass
class ObjectStore:
    """``host:port`` is where it listens."""

    server: ThreadedMotoServer
    port: int

    @classmethod
    def start(cls, port: int = 0) -> ObjectStore:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
        server.start()
        return cls(server, server.get_host_and_port()[1])

    @property
    def client(self) -> Any:
        keys = {"aws_access_key_id": "tester", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{self.port}", **keys)

    def uri(self, bucket: str = "", prefix: str = "kd/store") -> str:
        """Of a place in a bucket; in a new one where none is named."""
        if not bucket:
            bucket = f"test-{uuid.uuid4().hex[:12]}"
            self.client.create_bucket(Bucket=bucket)
        return f"s3://{bucket}/{prefix}?endpoint_override=127.0.0.1:{self.port}&scheme=http"

    def objects(self, uri: str) -> dict[str, bytes]:
        """Everything in the bucket of a URI by key, but for pyarrow's marks of folders."""
        bucket = uri.removeprefix("s3://").partition("/")[0]
        found = [one["Key"] for one in self.client.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return {key: self.client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in found if not key.endswith("/")}
