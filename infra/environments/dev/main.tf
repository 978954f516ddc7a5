module "platform" {
  source = "../../modules/platform"

  project            = var.project
  region             = var.region
  fleets             = var.fleets
  chunked            = var.chunked
  repository         = var.repository
  owner_id           = var.owner_id
  deploy_environment = "development"
  state_bucket       = var.state_bucket
  images             = var.images
  packages           = var.packages
  registry_readers   = var.registry_readers
  emails             = var.emails
  clients            = var.clients
  people             = var.people
  billing_account    = var.billing_account

  # Small and easily thrown away
  protected      = false
  resilient      = false
  database_tier  = "db-g1-small"
  composer_size  = "ENVIRONMENT_SIZE_SMALL"
  machine_type   = "n2-standard-2"
  max_workers    = 4
  monthly_budget = 800
}
