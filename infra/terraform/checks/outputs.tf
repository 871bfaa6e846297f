# Only for the checks: what a worker and the API would be given.

output "worker_environment" {
  value = local.worker_environment
}

output "api_environment" {
  value = local.api_environment
}
