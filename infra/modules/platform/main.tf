module "services" {
  source  = "../services"
  project = var.project
}

locals {
  # From here on the project's id is known only once its APIs are on
  project = module.services.project
  prefix  = "${var.project}-modelfleet"

  airflow  = module.identities.members["airflow"]
  launcher = module.identities.members["launcher"]
  worker   = module.identities.members["worker"]
  pubsub   = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

data "google_project" "this" {
  project_id = local.project
}

module "network" {
  source  = "../network"
  project = local.project
  region  = var.region
}

module "identities" {
  source  = "../identities"
  project = local.project
}

module "ci" {
  source             = "../ci"
  project            = local.project
  repository         = var.repository
  owner_id           = var.owner_id
  deploy_environment = var.deploy_environment
  state_bucket       = var.state_bucket
}

module "artifact_registry" {
  source     = "../artifact_registry"
  project    = local.project
  region     = var.region
  installers = { airflow = local.airflow }
  readers    = merge({ launcher = local.launcher, worker = local.worker }, var.registry_readers)
  writers    = { deployer = module.ci.deployer_member }
}

module "pubsub" {
  source             = "../pubsub"
  project            = local.project
  project_number     = data.google_project.this.number
  fleets             = var.fleets
  chunked            = var.chunked
  predictions_tables = { for fleet, table in module.bigquery.predictions : fleet => table if !contains(var.chunked, fleet) }
  workers            = { worker = local.worker }
  promoters          = { airflow = local.airflow }
  clients            = var.clients
}

module "buckets" {
  source           = "../buckets"
  project          = local.project
  location         = var.region
  prefix           = local.prefix
  notice_topic     = module.pubsub.notice_topic
  force_destroy    = !var.protected
  promoters        = { airflow = local.airflow }
  workers          = { launcher = local.launcher, worker = local.worker }
  stagers          = { airflow = local.airflow, launcher = local.launcher, worker = local.worker }
  deployers        = { deployer = module.ci.deployer_member }
  artifact_writers = { mlflow = module.identities.members["mlflow"] }
  docs_readers     = var.people
}

module "bigquery" {
  source              = "../bigquery"
  project             = local.project
  location            = var.region
  fleets              = var.fleets
  deletion_protection = var.protected
  writers             = { airflow = local.airflow, worker = local.worker, pubsub = local.pubsub }
  readers             = var.clients
}

module "secrets" {
  source  = "../secrets"
  project = local.project
  region  = var.region
  # By these names Composer's secrets backend looks for Airflow's connections
  secrets = { for id in keys(local.connections) : "airflow-connections-${id}" => { airflow = local.airflow } }
}

module "signing" {
  source  = "../signing"
  project = local.project
  region  = var.region
  signers = { airflow = local.airflow }
  readers = var.people
}

module "database" {
  source              = "../database"
  project             = local.project
  region              = var.region
  network             = module.network.private_services_network
  tier                = var.database_tier
  high_availability   = var.resilient
  deletion_protection = var.protected
  databases           = { mlflow = module.identities.emails["mlflow"] }
}

module "mlflow" {
  source = "../mlflow"
  count  = var.images == null ? 0 : 1

  project          = local.project
  region           = var.region
  image            = var.images.mlflow
  service_account  = module.identities.emails["mlflow"]
  subnetwork       = module.network.subnetwork
  artifacts_bucket = module.buckets.names["artifacts"]
  invokers         = merge({ airflow = local.airflow }, var.people)
  database = {
    connection_name = module.database.connection_name
    name            = "mlflow"
    user            = module.database.users["mlflow"]
  }
}

module "flex_templates" {
  source = "../flex_templates"
  count  = try(var.images.launcher, null) == null ? 0 : 1

  bucket          = module.buckets.names["templates"]
  revision        = var.images.revision
  image           = var.images.launcher
  worker_image    = var.images.worker
  service_account = module.identities.emails["worker"]
  subnetwork      = module.network.dataflow_subnetwork
  staging         = local.staging
  machine_type    = var.machine_type
  max_workers     = var.max_workers
}

module "composer" {
  source          = "../composer"
  project         = local.project
  region          = var.region
  network         = module.network.network
  subnetwork      = module.network.subnetwork
  service_account = module.identities.emails["airflow"]
  dags_bucket     = module.buckets.names["dags"]
  size            = var.composer_size
  resilient       = var.resilient
  package_index   = module.artifact_registry.package_index
  packages        = var.packages
  environment     = local.environment
  deployers       = { deployer = module.ci.deployer_member }
}

module "monitoring" {
  source                   = "../monitoring"
  project                  = local.project
  emails                   = var.emails
  request_subscriptions    = { for fleet, names in module.pubsub.subscriptions : fleet => basename(names.requests) }
  undelivered_subscription = module.pubsub.undelivered_subscription
  composer_environment     = module.composer.name
}

module "budget" {
  source = "../budget"
  count  = var.billing_account == null ? 0 : 1

  project_number  = data.google_project.this.number
  billing_account = var.billing_account
  name            = "modelfleet ${var.deploy_environment}"
  amount          = var.monthly_budget
  channels        = module.monitoring.channels
}
