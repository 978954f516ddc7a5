module "identities" {
  source = "../../identities"

  project = "acme-fleets-dev"
}
