module "platform" {
  source = "../../modules/platform"

  project            = var.project
  region             = var.region
  fleets             = var.fleets
  chunked            = var.chunked
  repository         = var.repository
  owner_id           = var.owner_id
  deploy_environment = "pre-production"
  state_bucket       = var.state_bucket
  images             = var.images
  packages           = var.packages
  registry_readers   = var.registry_readers
  emails             = var.emails
  clients            = var.clients
  people             = var.people
  billing_account    = var.billing_account

  # Production's machines, fewer of them, in one zone
  protected      = true
  resilient      = false
  database_tier  = "db-custom-1-3840"
  composer_size  = "ENVIRONMENT_SIZE_SMALL"
  machine_type   = "n2-standard-4"
  max_workers    = 10
  monthly_budget = 1500
}
