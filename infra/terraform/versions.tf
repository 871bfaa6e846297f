terraform {
  # 1.9: a validation may look at other variables. 1.11.4 is what the checks were run with.
  required_version = ">= 1.9, < 2.0"

  required_providers {
    # Beta, generated from Runpod's REST v2. 1.x speaks an API that is being retired.
    runpod = {
      source  = "runpod/runpod"
      version = "~> 2.0"
    }
    # Up to 5.24.0 every plan wants to change rules that have not all kinds of transitions:
    # https://github.com/cloudflare/terraform-provider-cloudflare/issues/7338
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "~> 5.24"
    }
  }
}

# Keys come from the environment alone, so that none is in a variable, a plan or the state.
provider "runpod" {} # RUNPOD_API_KEY

provider "cloudflare" {} # CLOUDFLARE_API_TOKEN, allowed to edit R2 of this account
