# Arguments from Runpod's guides to the 2.0.0 provider (docs.runpod.io/integrations/terraform); the
# provider's own reference could not be read here.

# The endpoint says itself what its workers run. It could name a template instead, but Runpod reads
# that once, when the endpoint is made: a new image in the template would never be rolled out.
resource "runpod_serverless_endpoint" "worker" {
  name             = local.endpoint.name
  endpoint_type    = local.endpoint.endpoint_type
  image            = var.image
  registry         = var.registry_id
  disk             = var.disk_gb
  env              = local.worker_environment
  gpu_pools        = local.endpoint.gpu_pools
  excluded_types   = local.endpoint.excluded_types
  gpu_count        = local.endpoint.gpu_count
  min_cuda_version = local.endpoint.min_cuda_version
  flashboot        = local.endpoint.flashboot
  scaling_type     = local.endpoint.scaling_type
  scaling_value    = local.endpoint.scaling_value
  workers_min      = local.endpoint.workers_min
  workers_max      = local.endpoint.workers_max
  idle_timeout     = local.endpoint.idle_timeout
  timeout          = local.endpoint.timeout
}

# The same worker to start by hand: a second endpoint for trying an image out.
resource "runpod_template" "worker" {
  name       = "${var.name}-worker"
  image      = var.image
  registry   = var.registry_id
  disk       = var.disk_gb
  env        = local.worker_environment
  serverless = true
  public     = false
}
