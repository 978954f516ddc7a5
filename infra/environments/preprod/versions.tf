terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }

  # The bucket is given at `terraform init -backend-config=bucket=...`: it is older than anything here
  backend "gcs" {
    prefix = "modelfleet/preprod"
  }
}

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = { app = "modelfleet", environment = "preprod" }
}
