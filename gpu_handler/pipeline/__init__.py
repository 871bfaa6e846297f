"""One job's photos, overlapped: fetch → decode → segment → apply → encode → store → report."""
