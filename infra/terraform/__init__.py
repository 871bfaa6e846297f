"""The Runpod endpoint and the R2 bucket as code, and what checks that code."""
