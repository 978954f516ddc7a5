module "platform" {
  source = "../../modules/platform"

  project            = var.project
  region             = var.region
  fleets             = var.fleets
  chunked            = var.chunked
  repository         = var.repository
  owner_id           = var.owner_id
  deploy_environment = "production"
  state_bucket       = var.state_bucket
  images             = var.images
  packages           = var.packages
  registry_readers   = var.registry_readers
  emails             = var.emails
  clients            = var.clients
  people             = var.people
  billing_account    = var.billing_account

  # Survives the loss of a zone, and a slip of the hand
  protected      = true
  resilient      = true
  database_tier  = "db-custom-2-7680"
  composer_size  = "ENVIRONMENT_SIZE_MEDIUM"
  machine_type   = "n2-standard-4"
  max_workers    = 50
  monthly_budget = 5000
}
