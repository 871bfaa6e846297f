# What variables.tf and locals.tf come to. Runs without providers: `make terraform-check`.

variables {
  public_url            = "https://api.example.com"
  image                 = "ghcr.io/example/palette-handler:1.2.0"
  cloudflare_account_id = "0123456789abcdef0123456789abcdef"
}

run "scales_to_zero_and_starts_fast" {
  command = plan

  assert {
    condition     = local.endpoint.workers_min == 0 && local.endpoint.flashboot == "FLASHBOOT"
    error_message = "A deployment that says nothing must cost nothing while nobody works."
  }
  assert {
    condition     = length(local.endpoint.gpu_pools) > 1
    error_message = "One pool can be sold out."
  }
  assert {
    condition     = local.endpoint.timeout == 900000
    error_message = "Runpod counts the execution timeout in milliseconds."
  }
  assert {
    condition     = local.endpoint.excluded_types == null
    error_message = "An empty list of exclusions must not be sent."
  }
}

run "no_secret_is_known" {
  command = plan

  assert {
    condition     = local.worker_environment.GPU_CALLBACK_SECRET == "{{ RUNPOD_SECRET_palette_gpu_callback_secret }}"
    error_message = "The worker must get a reference that Runpod fills in."
  }
  assert {
    condition     = !contains(keys(local.worker_environment), "HF_TOKEN")
    error_message = "Without the name of a secret there must be no HF_TOKEN, which would be text instead of a token."
  }
}

run "takes_the_names_of_other_secrets" {
  command = plan

  variables {
    secret_names = { hf_token = "team/hf", callback_secret = "rotated_2" }
  }

  assert {
    condition     = local.secrets.HF_TOKEN == "{{ RUNPOD_SECRET_team/hf }}" && local.secrets.GPU_CALLBACK_SECRET == "{{ RUNPOD_SECRET_rotated_2 }}"
    error_message = "Names that are given must be used."
  }
  assert {
    condition     = local.secrets.STORAGE_ACCESS_KEY == "{{ RUNPOD_SECRET_palette_storage_access_key }}"
    error_message = "Names that are not given keep their defaults."
  }
}

run "worker_is_in_production" {
  command = plan

  variables {
    public_url         = "https://edge.example.com:8443/v1"
    worker_environment = { MASK_EDGES = "soft", INPAINT_MODEL = "/models/lama.pt" }
  }

  assert {
    condition     = local.worker_environment.ENV == "production" && local.worker_environment.CALLBACK_ALLOWED_HOSTS == "edge.example.com"
    error_message = "A worker calls back this API and nobody else."
  }
  assert {
    condition     = local.worker_environment.MASK_EDGES == "soft"
    error_message = "More settings must reach the worker."
  }
  assert {
    condition     = alltrue([for value in values(local.worker_environment) : value != ""])
    error_message = "A setting that is there and empty stops the worker."
  }
}

run "keeps_objects_longer_than_the_api" {
  command = plan

  assert {
    condition = { for rule in local.expiry_rules : rule.conditions.prefix => rule.delete_objects_transition.condition.max_age / 86400 } == {
      "inputs/" = 10, "masks/" = 33, "outputs/" = 33, "previews/" = 33
    }
    error_message = "Ages must be the API's days and the margin, in seconds."
  }
  assert {
    condition     = local.abort_rule.abort_multipart_uploads_transition.condition.max_age == 86400
    error_message = "Broken uploads must not be kept and paid for."
  }
}

run "zero_days_keep_for_ever" {
  command = plan

  variables {
    input_retention_days  = 0
    result_retention_days = 0
  }

  assert {
    condition     = length(local.expiry_rules) == 0
    error_message = "0 means kept, never deleted at once."
  }
}

run "browsers_only_from_the_app" {
  command = plan

  variables {
    app_origins = ["https://app.example.com", "https://beta.example.com"]
  }

  assert {
    condition     = length(local.cors_rules) == 1 && local.cors_rules[0].allowed.origins == tolist(["https://app.example.com", "https://beta.example.com"])
    error_message = "The app's origins, and no other, may upload from a browser."
  }
  assert {
    condition     = contains(local.cors_rules[0].allowed.methods, "PUT") && !contains(local.cors_rules[0].allowed.methods, "DELETE")
    error_message = "A browser uploads and downloads; it deletes nothing."
  }
  assert {
    condition     = local.api_environment.CORS_ORIGINS == "https://app.example.com,https://beta.example.com"
    error_message = "The API must admit the same origins."
  }
}

run "phones_need_no_cors" {
  command = plan

  assert {
    condition     = length(local.cors_rules) == 0
    error_message = "Without origins there must be no rule at all."
  }
}

run "a_jurisdiction_has_its_own_host" {
  command = plan

  variables {
    bucket_jurisdiction = "eu"
  }

  assert {
    condition     = local.storage_endpoint == "https://0123456789abcdef0123456789abcdef.eu.r2.cloudflarestorage.com"
    error_message = "The EU's buckets are not found under the plain address."
  }
  assert {
    condition     = local.api_environment.R2_ENDPOINT_URL == local.worker_environment.STORAGE_S3_ENDPOINT
    error_message = "API and worker must look into the same bucket."
  }
}

# Wrong values, each to be refused by the variable that it is a value of. Few runs: each costs a
# quarter of a second.

run "each_variable_takes_no_nonsense" {
  command = plan

  variables {
    public_url            = "http://api.example.com"
    name                  = "Palette Worker"
    image                 = "ghcr.io/example/palette-handler:latest"
    gpu_pools             = []
    excluded_gpu_types    = ["-NVIDIA L4"]
    min_cuda_version      = "12.8.1"
    workers_max           = 0
    idle_timeout_sec      = 7200
    queue_delay_sec       = 0.1
    execution_timeout_sec = 1
    flashboot             = true
    disk_gb               = 1
    segmenter             = "sam2"
    sam3_model            = "https://huggingface.co/facebook/sam3"
    batch_concurrency     = 64
    secret_names          = { callback_secret = "RUNPOD_SECRET_callback" }
    cloudflare_account_id = "me@example.com"
    bucket_name           = "S3_Images"
    bucket_location       = "moon"
    app_origins           = ["*"]
    input_retention_days  = -1
    result_retention_days = 0.5
    retention_margin_days = 0
  }

  expect_failures = [
    var.public_url,
    var.name,
    var.image,
    var.gpu_pools,
    var.excluded_gpu_types,
    var.min_cuda_version,
    var.workers_max,
    var.idle_timeout_sec,
    var.queue_delay_sec,
    var.execution_timeout_sec,
    var.flashboot,
    var.disk_gb,
    var.segmenter,
    var.sam3_model,
    var.batch_concurrency,
    var.secret_names,
    var.cloudflare_account_id,
    var.bucket_name,
    var.bucket_location,
    var.app_origins,
    var.input_retention_days,
    var.result_retention_days,
    var.retention_margin_days,
  ]
}

run "other_rules_of_the_same_variables" {
  command = plan

  variables {
    public_url          = "https://api.example.com/"
    image               = "ghcr.io/example/palette-worker"
    gpu_pools           = ["NVIDIA L4"]
    workers_min         = 4
    secret_names        = { hf_token = "not a name!" }
    app_origins         = ["https://app.example.com/"]
    bucket_jurisdiction = "kr"
  }

  expect_failures = [
    var.public_url,
    var.image,
    var.gpu_pools,
    var.workers_min,
    var.secret_names,
    var.app_origins,
    var.bucket_jurisdiction,
  ]
}

run "and_the_last_ones" {
  command = plan

  variables {
    gpu_pools           = ["ADA_24", "ADA_24"]
    worker_environment  = { mask_edges = "soft" }
    bucket_location     = "weur"
    bucket_jurisdiction = "eu"
  }

  expect_failures = [
    var.gpu_pools,
    var.worker_environment,
    var.bucket_location,
  ]
}

# What a worker is given is looked at after everything that it depends on.

run "takes_no_secret_in_the_open" {
  command = plan

  variables {
    worker_environment = { MY_TOKEN = "hf_0123456789" }
  }

  expect_failures = [var.worker_environment]
}

run "takes_no_setting_twice" {
  command = plan

  variables {
    worker_environment = { ENV = "development" }
  }

  expect_failures = [var.worker_environment]
}
