module "network" {
  source = "../../network"

  project          = "acme-fleets-dev"
  region           = "europe-west1"
  subnetwork_range = "10.20.0.0/20"
}
