module "ci" {
  source = "../../ci"

  project            = "acme-fleets-dev"
  repository         = "acme/fleets"
  owner_id           = "1234567"
  deploy_environment = "development"
  state_bucket       = "acme-terraform-state"
}
