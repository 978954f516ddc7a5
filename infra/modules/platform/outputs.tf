output "engine_options" {
  description = "The field engine_options of a fleet's spec, for engine: dataflow."
  value       = local.engine_options
}

output "engine_patch" {
  description = "Per fleet, what moves it here as a merge patch, as `modelfleet run --overrides` takes it: JSON with the engine, its options, the table of evaluations, and where it is served."
  value       = { for fleet, move in local.moves : fleet => jsonencode(move) }
}

output "engine_yaml" {
  description = "Per fleet, the same as lines of its YAML file."
  value       = { for fleet, move in local.moves : fleet => yamlencode(move) }
}

output "environment" {
  description = "Environment variables of whoever runs modelfleet against this platform; Composer has them already."
  value       = local.environment
}

output "connections" {
  description = "Airflow connections by id, as JSON."
  value       = local.connections
}

output "package_upload" {
  description = "Where wheels are uploaded to, so that Airflow can install them."
  value       = module.artifact_registry.package_upload
}

output "image_prefix" {
  description = "What the images' names begin with."
  value       = module.artifact_registry.prefix
}

output "buckets" {
  description = "The buckets' names."
  value       = module.buckets.names
}

output "topics" {
  description = "Per fleet, its topics."
  value       = module.pubsub.topics
}

output "subscriptions" {
  description = "Per fleet, its subscriptions."
  value       = module.pubsub.subscriptions
}

output "tables" {
  description = "Per fleet, its tables in BigQuery: predictions and evaluation."
  value = {
    for fleet in keys(var.fleets) : fleet => {
      predictions = module.bigquery.predictions[fleet]
      evaluation  = module.bigquery.evaluation[fleet]
    }
  }
}

output "templates" {
  description = "Of each job, its Flex Template; none before there are images."
  value       = merge({}, module.flex_templates[*].templates...)
}

output "secrets" {
  description = "Secrets that want a value."
  value       = module.secrets.names
}

output "database" {
  description = "The database instance, and the user that must be granted its database once."
  value       = { instance = module.database.instance, users = module.database.users }
}

output "github_variables" {
  description = "Variables of the environment on GitHub from which is deployed here, by the names that the workflows read."
  value = {
    COMPOSER_ENVIRONMENT       = module.composer.name
    DAGS_BUCKET                = module.buckets.names["dags"]
    DEPLOY_SERVICE_ACCOUNT     = module.ci.deployer
    IMAGES_SERVICE_ACCOUNT     = module.ci.deployer
    PACKAGE_UPLOAD             = module.artifact_registry.package_upload
    PLAN_SERVICE_ACCOUNT       = module.ci.planner
    REGION                     = var.region
    REGISTRY                   = module.artifact_registry.prefix
    REGISTRY_HOST              = split("/", module.artifact_registry.prefix)[0]
    STATE_BUCKET               = var.state_bucket
    WORKLOAD_IDENTITY_PROVIDER = module.ci.provider
  }
}

output "airflow_uri" {
  description = "Address of Airflow's pages."
  value       = module.composer.airflow_uri
}
