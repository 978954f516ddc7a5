"""Where small files are that several machines share: a folder, or a bucket, behind one protocol."""
