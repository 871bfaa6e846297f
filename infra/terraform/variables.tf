# Everything that differs between deployments. This file and locals.tf name no provider, so that
# `make terraform-check` can run them where none can be installed.

variable "name" {
  description = "What the endpoint and the template are called at Runpod."
  type        = string
  default     = "palette"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,31}$", var.name))
    error_message = "name must be 2 to 32 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "public_url" {
  description = "PUBLIC_URL of the API: the address under which workers call it back."
  type        = string

  validation {
    condition     = can(regex("^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?$", var.public_url))
    error_message = "public_url must be an https address without a slash at its end, such as https://api.example.com."
  }
}

# The worker

variable "image" {
  description = "The worker's image, with a digest or a version: workers that are warm keep what a moving tag was."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+(:[0-9]+)?/[a-z0-9._/-]+(:[A-Za-z0-9_][A-Za-z0-9._-]*|(:[A-Za-z0-9_][A-Za-z0-9._-]*)?@sha256:[0-9a-f]{64})$", var.image))
    error_message = "image must name a registry, a repository and a digest or tag, such as ghcr.io/you/palette-handler:1.2.0."
  }
  validation {
    condition     = !endswith(var.image, ":latest")
    error_message = "image must not be :latest: an apply would not see that it changed, and two versions would work side by side."
  }
}

variable "registry_id" {
  description = "Id of a Runpod registry credential for a private image; null for a public one. Made in the console, because its password would stand in the state."
  type        = string
  default     = null
}

variable "gpu_pools" {
  description = "Serverless GPU pools that may be used; workers go where there is room."
  type        = list(string)
  default     = ["ADA_24", "AMPERE_24"]

  validation {
    condition     = length(var.gpu_pools) > 0 && length(distinct(var.gpu_pools)) == length(var.gpu_pools)
    error_message = "gpu_pools must name at least one pool, and each once."
  }
  validation {
    condition     = alltrue([for pool in var.gpu_pools : can(regex("^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$", pool))])
    error_message = "gpu_pools takes pools such as ADA_24, not cards such as 'NVIDIA L4': see 'pool' in GET /v2/catalog/gpus."
  }
}

variable "excluded_gpu_types" {
  description = "Cards of these pools that are not used, such as NVIDIA RTX A5000."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for type in var.excluded_gpu_types : !startswith(type, "-") && trimspace(type) == type && type != ""])
    error_message = "excluded_gpu_types takes the ids of GET /v2/catalog/gpus, without a minus sign or spaces around."
  }
}

variable "min_cuda_version" {
  description = "The oldest CUDA version that a host's driver may offer; what the image's torch was built for."
  type        = string
  default     = "13.0"

  validation {
    condition     = can(regex("^[0-9]{1,2}\\.[0-9]{1,2}$", var.min_cuda_version))
    error_message = "min_cuda_version must be major.minor, such as 13.0."
  }
}

variable "workers_min" {
  description = "Workers that are paid for all the time; 0 scales to zero."
  type        = number
  default     = 0

  validation {
    condition     = var.workers_min >= 0 && floor(var.workers_min) == var.workers_min && var.workers_min <= var.workers_max
    error_message = "workers_min must be a whole number from 0 to workers_max."
  }
}

variable "workers_max" {
  description = "Workers at most, and so what an hour can cost."
  type        = number
  default     = 3

  validation {
    condition     = var.workers_max >= 1 && var.workers_max <= 60 && floor(var.workers_max) == var.workers_max
    error_message = "workers_max must be a whole number from 1 to 60; the account's balance may allow fewer."
  }
}

variable "idle_timeout_sec" {
  description = "Seconds that a worker waits, paid, for the next job before it goes."
  type        = number
  default     = 30

  validation {
    condition     = var.idle_timeout_sec >= 1 && var.idle_timeout_sec <= 3600 && floor(var.idle_timeout_sec) == var.idle_timeout_sec
    error_message = "idle_timeout_sec must be a whole number from 1 to 3600."
  }
}

variable "queue_delay_sec" {
  description = "Seconds that a job waits before another worker is started."
  type        = number
  default     = 4

  validation {
    condition     = var.queue_delay_sec >= 0.5 && var.queue_delay_sec <= 600
    error_message = "queue_delay_sec must be from 0.5 to 600."
  }
}

variable "execution_timeout_sec" {
  description = "Seconds after which Runpod ends a job that named no time of its own. The API's jobs do."
  type        = number
  default     = 900

  validation {
    condition     = var.execution_timeout_sec >= 5 && var.execution_timeout_sec <= 604800 && floor(var.execution_timeout_sec) == var.execution_timeout_sec
    error_message = "execution_timeout_sec must be a whole number from 5 to 604800 (seven days)."
  }
}

variable "flashboot" {
  description = "Whether Runpod keeps what a worker was, to start it faster. Its API has it off where nothing is said."
  type        = string
  default     = "FLASHBOOT"

  validation {
    condition     = contains(["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"], var.flashboot)
    error_message = "flashboot must be OFF, FLASHBOOT or PRIORITY_FLASHBOOT."
  }
}

variable "disk_gb" {
  description = "Disk of a worker beside its image: weights that are fetched, compiled layers, photos in work."
  type        = number
  default     = 20

  validation {
    condition     = var.disk_gb >= 5 && var.disk_gb <= 500 && floor(var.disk_gb) == var.disk_gb
    error_message = "disk_gb must be a whole number from 5 to 500."
  }
}

variable "segmenter" {
  description = "SEGMENTER of the worker."
  type        = string
  default     = "sam3"

  validation {
    condition     = contains(["sam3", "auto", "classical"], var.segmenter)
    error_message = "segmenter must be sam3, auto or classical."
  }
}

variable "sam3_model" {
  description = "SAM3_MODEL of the worker: a hub id, or the folder of the image that has the weights."
  type        = string
  default     = "facebook/sam3"

  validation {
    condition     = can(regex("^(/[A-Za-z0-9._/-]+|[A-Za-z0-9._-]+/[A-Za-z0-9._-]+)$", var.sam3_model))
    error_message = "sam3_model must be a hub id such as facebook/sam3, or an absolute folder."
  }
}

variable "batch_concurrency" {
  description = "BATCH_CONCURRENCY: photos of a job in flight in one worker."
  type        = number
  default     = 4

  validation {
    condition     = var.batch_concurrency >= 1 && var.batch_concurrency <= 32 && floor(var.batch_concurrency) == var.batch_concurrency
    error_message = "batch_concurrency must be a whole number from 1 to 32."
  }
}

variable "secret_names" {
  description = "Names of Runpod secrets. Their values are put there by hand: Terraform never sees them. hf_token is null where the image or Runpod's cache has the weights."
  type = object({
    storage_access_key = optional(string, "palette_storage_access_key")
    storage_secret_key = optional(string, "palette_storage_secret_key")
    callback_secret    = optional(string, "palette_gpu_callback_secret")
    hf_token           = optional(string)
  })
  default = {}

  validation {
    condition = alltrue([
      for name in values(var.secret_names) : name == null || can(regex("^[A-Za-z_][A-Za-z0-9_./-]{0,190}$", name))
    ])
    error_message = "secret_names takes names: up to 191 letters, digits and _ . - /, beginning with a letter or _. Never the secret itself."
  }
  validation {
    condition     = alltrue([for name in values(var.secret_names) : name == null || !startswith(upper(coalesce(name, "-")), "RUNPOD")])
    error_message = "secret_names must not begin with RUNPOD, which Runpod keeps for itself: leave RUNPOD_SECRET_ out."
  }
}

variable "worker_environment" {
  description = "More settings of the worker, such as MASK_EDGES. Secrets only as {{ RUNPOD_SECRET_name }}."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.worker_environment) : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "worker_environment takes names of capital letters, digits and underscores."
  }
  validation {
    condition = alltrue([
      for name, value in var.worker_environment :
      !can(regex("SECRET|TOKEN|PASSWORD|KEY", name)) || can(regex("^\\{\\{ RUNPOD_SECRET_[A-Za-z0-9_./-]+ \\}\\}$", value))
    ])
    error_message = "worker_environment must not hold a secret, which would stand in the state: write {{ RUNPOD_SECRET_name }}."
  }
  validation {
    condition     = length(setintersection(keys(var.worker_environment), local.set_here)) == 0
    error_message = "worker_environment must not name what other variables set: ${join(", ", local.set_here)}."
  }
}

# The bucket

variable "cloudflare_account_id" {
  description = "The Cloudflare account that has the bucket."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.cloudflare_account_id))
    error_message = "cloudflare_account_id must be 32 hexadecimal digits: see R2's overview page."
  }
}

variable "bucket_name" {
  description = "R2_BUCKET_NAME of the API and STORAGE_BUCKET of the worker."
  type        = string
  default     = "s3-images"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name must be 3 to 63 lower-case letters, digits and hyphens, with no hyphen at its ends."
  }
}

variable "bucket_location" {
  description = "Where R2 should put the bucket, near the phones; null lets R2 choose. Only heeded when it is made."
  type        = string
  default     = null

  validation {
    condition     = var.bucket_location == null || contains(["apac", "eeur", "enam", "oc", "weur", "wnam"], coalesce(var.bucket_location, "-"))
    error_message = "bucket_location must be apac, eeur, enam, oc, weur or wnam."
  }
  validation {
    condition     = var.bucket_location == null || var.bucket_jurisdiction == "default"
    error_message = "bucket_location must be null where bucket_jurisdiction says where objects are kept."
  }
}

variable "bucket_jurisdiction" {
  description = "Where photos must stay by law; it is part of the bucket's address."
  type        = string
  default     = "default"

  validation {
    condition     = contains(["default", "eu", "fedramp"], var.bucket_jurisdiction)
    error_message = "bucket_jurisdiction must be default, eu or fedramp."
  }
}

variable "app_origins" {
  description = "CORS_ORIGINS: origins of the app's web build, which uploads straight to the bucket. Phones need none."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.app_origins : can(regex("^https://[a-z0-9.-]+(:[0-9]{1,5})?$", origin))])
    error_message = "app_origins takes origins such as https://app.example.com: https, no path, no slash at the end, no *."
  }
}

variable "input_retention_days" {
  description = "INPUT_RETENTION_DAYS of the API, which deletes photos so long after their job ended; 0 keeps them."
  type        = number
  default     = 7

  validation {
    condition     = var.input_retention_days >= 0 && var.input_retention_days <= 3650 && floor(var.input_retention_days) == var.input_retention_days
    error_message = "input_retention_days must be a whole number from 0 to 3650."
  }
}

variable "result_retention_days" {
  description = "RESULT_RETENTION_DAYS of the API; 0 keeps results."
  type        = number
  default     = 30

  validation {
    condition     = var.result_retention_days >= 0 && var.result_retention_days <= 3650 && floor(var.result_retention_days) == var.result_retention_days
    error_message = "result_retention_days must be a whole number from 0 to 3650."
  }
}

variable "retention_margin_days" {
  description = "Days that the bucket waits longer than the API. A photo may be two days old when its job ends."
  type        = number
  default     = 3

  validation {
    condition     = var.retention_margin_days >= 2 && var.retention_margin_days <= 90 && floor(var.retention_margin_days) == var.retention_margin_days
    error_message = "retention_margin_days must be a whole number from 2 to 90: the bucket must not delete what the API still shows."
  }
}
