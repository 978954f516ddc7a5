module "monitoring" {
  source = "../../monitoring"

  project                  = "acme-fleets-dev"
  emails                   = { team = "ml@acme.example" }
  request_subscriptions    = { income = "income-requests" }
  undelivered_subscription = "undelivered"
  composer_environment     = "modelfleet"
}
