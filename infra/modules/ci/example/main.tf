module "ci" {
  source = "../../ci"

  project            = "acme-fleets-dev"
  repository         = "acme/fleets"
  deploy_environment = "development"
  state_bucket       = "acme-terraform-state"
}
