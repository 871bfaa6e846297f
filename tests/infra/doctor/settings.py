"""What API and handler need to be told, and ways of telling it wrong, by their row of the page."""

SHORT = "too-short"
BROKEN = "a line break\n" + "x" * 32
JWT, CALLBACK = "jwt-secret-" + "j" * 32, "callback-secret-" + "c" * 32

API = {
    "JWT_SECRET": JWT,
    "GPU_CALLBACK_SECRET": CALLBACK,
    "R2_ACCOUNT_ID": "abc123",
    "R2_ACCESS_KEY_ID": "access",
    "R2_SECRET_ACCESS_KEY": "secret",
    "RUNPOD_API_KEY": "runpod",
    "RUNPOD_ENDPOINT_ID": "endpoint1",
    "PUBLIC_URL": "https://api.example.com",
}
API_MISTAKES = {
    "`JWT_SECRET` of less than 32 bytes": {"JWT_SECRET": SHORT},
    "`GPU_CALLBACK_SECRET` of less than 32 bytes": {"GPU_CALLBACK_SECRET": SHORT},
    "one secret for `JWT_SECRET` and `GPU_CALLBACK_SECRET`": {"GPU_CALLBACK_SECRET": JWT},
    "a secret with a line break in it": {"JWT_SECRET": BROKEN},
    "`DATABASE_URL` of another kind": {"DATABASE_URL": "mysql://palette@db.example.com/palette"},
    "`DATABASE_URL` in a folder that is not there": {"DATABASE_URL": "sqlite:////no/folder/e.db"},
    "`R2_ACCOUNT_ID` that is an address": {
        "R2_ACCOUNT_ID": "https://abc123.r2.cloudflarestorage.com"
    },
    "`R2_ENDPOINT_URL` with the bucket behind it, as R2's console shows it": {
        "R2_ENDPOINT_URL": "https://abc123.r2.cloudflarestorage.com/s3-images"
    },
    "`R2_ACCESS_KEY_ID` with a blank in it": {"R2_ACCESS_KEY_ID": "acc ess"},
    "`R2_SECRET_ACCESS_KEY` with a blank in it": {"R2_SECRET_ACCESS_KEY": "sec ret"},
    "`R2_BUCKET_NAME` that is a path": {"R2_BUCKET_NAME": "s3-images/inputs"},
    "`RUNPOD_API_KEY` with a blank in it": {"RUNPOD_API_KEY": "Bearer rpa_123"},
    "`RUNPOD_ENDPOINT_ID` that is an address": {
        "RUNPOD_ENDPOINT_ID": "https://api.runpod.ai/v2/endpoint1"
    },
    "`PUBLIC_URL` without https://": {"PUBLIC_URL": "api.example.com"},
    "`PUBLIC_URL` by http with `ENV=production`": {
        "PUBLIC_URL": "http://api.example.com",
        "ENV": "production",
    },
    "a secret that is no random text with `ENV=production`": {
        "JWT_SECRET": "changeme" * 8,
        "ENV": "production",
    },
}

DATABASE_MISTAKES = {
    "`DATABASE_URL` with a server that is not there": {
        "DATABASE_URL": "postgresql://palette:canary@127.0.0.1:9/palette"
    },
    "`DATABASE_URL` of a file that is no database": {"DATABASE_URL": f"sqlite:///{__file__}"},
}

HANDLER = {
    "STORAGE_S3_ENDPOINT": "https://abc123.r2.cloudflarestorage.com",
    "STORAGE_ACCESS_KEY": "access",
    "STORAGE_SECRET_KEY": "secret",
    "STORAGE_BUCKET": "s3-images",
    "GPU_CALLBACK_SECRET": CALLBACK,
}
HANDLER_MISTAKES = {
    "`STORAGE_S3_ENDPOINT` without https://": {
        "STORAGE_S3_ENDPOINT": "abc123.r2.cloudflarestorage.com"
    },
    "`STORAGE_S3_ENDPOINT` with the bucket behind it, as R2's console shows it": {
        "STORAGE_S3_ENDPOINT": "https://abc123.r2.cloudflarestorage.com/s3-images"
    },
    "`STORAGE_ACCESS_KEY` with a blank in it": {"STORAGE_ACCESS_KEY": "acc ess"},
    "`STORAGE_SECRET_KEY` with a blank in it": {"STORAGE_SECRET_KEY": "sec ret"},
    "`STORAGE_BUCKET` that is a path": {"STORAGE_BUCKET": "s3-images/inputs"},
    "`GPU_CALLBACK_SECRET` of less than 32 bytes": {"GPU_CALLBACK_SECRET": SHORT},
    "no `CALLBACK_ALLOWED_HOSTS` with `ENV=production`": {"ENV": "production"},
    "a store by http with `ENV=production`": {
        "ENV": "production",
        "CALLBACK_ALLOWED_HOSTS": "api.example.com",
        "STORAGE_S3_ENDPOINT": "http://abc123.r2.cloudflarestorage.com",
    },
}
