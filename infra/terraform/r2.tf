# Arguments from the provider's own documentation of 5.x.

resource "cloudflare_r2_bucket" "photos" {
  account_id   = var.cloudflare_account_id
  name         = var.bucket_name
  location     = var.bucket_location
  jurisdiction = var.bucket_jurisdiction

  # It holds people's photos; whoever means it takes this away first.
  lifecycle {
    prevent_destroy = true
  }
}

resource "cloudflare_r2_bucket_cors" "photos" {
  count = length(local.cors_rules) > 0 ? 1 : 0

  account_id   = var.cloudflare_account_id
  bucket_name  = cloudflare_r2_bucket.photos.name
  jurisdiction = var.bucket_jurisdiction
  rules        = local.cors_rules
}

resource "cloudflare_r2_bucket_lifecycle" "photos" {
  account_id   = var.cloudflare_account_id
  bucket_name  = cloudflare_r2_bucket.photos.name
  jurisdiction = var.bucket_jurisdiction
  rules        = concat([local.abort_rule], local.expiry_rules)
}
