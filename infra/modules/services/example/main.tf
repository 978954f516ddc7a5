module "services" {
  source = "../../services"

  project = "acme-fleets-dev"
}
