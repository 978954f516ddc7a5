"""Makes a bucket in the object store, once: ``python make_bucket.py NAME``, address and keys in the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import boto3


def make_bucket(name: str) -> None:
    """Make the bucket; one that exists is left as it is.

    Args:
        name: The bucket.

    Raises:
        botocore.exceptions.ClientError: The store refuses.
    """
    store = boto3.client(
        "s3",
        endpoint_url=os.environ["S3_ENDPOINT"],
        region_name="us-east-1",
        aws_access_key_id=Path(os.environ["S3_KEY_FILE"]).read_text().strip(),
        aws_secret_access_key=Path(os.environ["S3_SECRET_FILE"]).read_text().strip(),
    )
    if name not in {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}:
        store.create_bucket(Bucket=name)


if __name__ == "__main__":
    make_bucket(sys.argv[1])
