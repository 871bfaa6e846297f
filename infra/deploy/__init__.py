"""Runpod and R2 set up from one file, over Runpod's REST v2 and the S3 API: no Terraform needed."""
