# Copy to palette.tfvars, which git ignores, and fill in. Nothing in it is secret.
public_url            = "https://api.example.com"
image                 = "ghcr.io/example/palette-handler:0.1.0"
cloudflare_account_id = "00000000000000000000000000000000"

app_origins     = ["https://app.example.com"]
bucket_location = "apac"

gpu_pools   = ["ADA_24", "AMPERE_24", "AMPERE_48"]
workers_max = 3

secret_names = {
  hf_token = "palette_hf_token"
}
