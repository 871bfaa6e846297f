# What the variables come to, before any provider has a part in it.

locals {
  day = 24 * 60 * 60

  # https://developers.cloudflare.com/r2/reference/data-location/: a jurisdiction has its own host.
  jurisdiction_host = var.bucket_jurisdiction == "default" ? "" : ".${var.bucket_jurisdiction}"
  storage_endpoint  = "https://${var.cloudflare_account_id}${local.jurisdiction_host}.r2.cloudflarestorage.com"
  callback_host     = regex("^https://([A-Za-z0-9.-]+)", var.public_url)[0]

  # Runpod puts the value in when a worker boots; here and in the state there is only the name.
  secret_values = {
    STORAGE_ACCESS_KEY  = var.secret_names.storage_access_key
    STORAGE_SECRET_KEY  = var.secret_names.storage_secret_key
    GPU_CALLBACK_SECRET = var.secret_names.callback_secret
    HF_TOKEN            = var.secret_names.hf_token
  }
  secrets = { for name, secret in local.secret_values : name => "{{ RUNPOD_SECRET_${secret} }}" if secret != null }

  settings = {
    ENV                    = "production"
    STORAGE_S3_ENDPOINT    = local.storage_endpoint
    STORAGE_BUCKET         = var.bucket_name
    CALLBACK_ALLOWED_HOSTS = local.callback_host
    SEGMENTER              = var.segmenter
    SAM3_MODEL             = var.sam3_model
    BATCH_CONCURRENCY      = tostring(var.batch_concurrency)
    # Seconds: a start that fetches weights takes longer than the 7 minutes Runpod waits otherwise.
    RUNPOD_INIT_TIMEOUT = "800"
  }
  set_here           = concat(keys(local.settings), keys(local.secret_values))
  worker_environment = merge(var.worker_environment, local.settings, local.secrets)

  # What the API's own settings must agree with. RUNPOD_ENDPOINT_ID is added in outputs.tf.
  api_environment = {
    PUBLIC_URL            = var.public_url
    R2_ENDPOINT_URL       = local.storage_endpoint
    R2_BUCKET_NAME        = var.bucket_name
    CORS_ORIGINS          = join(",", var.app_origins)
    INPUT_RETENTION_DAYS  = tostring(var.input_retention_days)
    RESULT_RETENTION_DAYS = tostring(var.result_retention_days)
    BATCH_CONCURRENCY     = tostring(var.batch_concurrency)
  }

  endpoint = {
    name             = var.name
    endpoint_type    = "QUEUE"
    gpu_pools        = var.gpu_pools
    excluded_types   = length(var.excluded_gpu_types) > 0 ? var.excluded_gpu_types : null
    gpu_count        = 1
    min_cuda_version = var.min_cuda_version
    flashboot        = var.flashboot
    scaling_type     = "QUEUE_DELAY"
    scaling_value    = var.queue_delay_sec
    workers_min      = var.workers_min
    workers_max      = var.workers_max
    idle_timeout     = var.idle_timeout_sec
    timeout          = var.execution_timeout_sec * 1000
  }

  # The API deletes by the end of a job; these rules catch what it missed, by the object's own age.
  kept_days = {
    "inputs/"   = var.input_retention_days
    "masks/"    = var.result_retention_days
    "outputs/"  = var.result_retention_days
    "previews/" = var.result_retention_days
  }
  expiry_rules = [
    for prefix, days in local.kept_days : {
      id                        = "expire-${trimsuffix(prefix, "/")}"
      enabled                   = true
      conditions                = { prefix = prefix }
      delete_objects_transition = { condition = { type = "Age", max_age = (days + var.retention_margin_days) * local.day } }
    } if days > 0
  ]
  # R2's own rule for broken uploads is gone where a bucket has other rules.
  abort_rule = {
    id                                 = "abort-broken-uploads"
    enabled                            = true
    conditions                         = { prefix = "" }
    abort_multipart_uploads_transition = { condition = { type = "Age", max_age = local.day } }
  }

  # An empty list of anything is refused as malformed JSON: no origin, no CORS at all.
  cors_rules = length(var.app_origins) == 0 ? [] : [
    {
      id = "web-app"
      allowed = {
        methods = ["GET", "HEAD", "PUT"]
        origins = var.app_origins
        headers = ["content-type", "if-match", "if-none-match"]
      }
      expose_headers  = ["ETag"]
      max_age_seconds = 3600
    }
  ]
}
