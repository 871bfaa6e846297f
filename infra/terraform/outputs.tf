output "runpod_endpoint_id" {
  description = "RUNPOD_ENDPOINT_ID of the API."
  value       = runpod_serverless_endpoint.worker.id
}

output "runpod_template_id" {
  description = "The template for endpoints that are made by hand."
  value       = runpod_template.worker.id
}

output "storage_endpoint" {
  description = "R2_ENDPOINT_URL of the API, STORAGE_S3_ENDPOINT of the worker."
  value       = local.storage_endpoint
}

output "api_environment" {
  description = "Settings of the API that must agree with what is made here; none is secret."
  value       = merge(local.api_environment, { RUNPOD_ENDPOINT_ID = runpod_serverless_endpoint.worker.id })
}

output "runpod_secrets" {
  description = "Runpod secrets that must exist before a worker can start."
  value       = sort(compact(values(local.secret_values)))
}
