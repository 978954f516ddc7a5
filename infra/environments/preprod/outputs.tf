output "engine_options" {
  description = "The field engine_options of a fleet's spec, for engine: dataflow."
  value       = module.platform.engine_options
}

output "engine_patch" {
  description = "Per fleet, what moves it here as a merge patch, as `modelfleet run --overrides` takes it: JSON with the engine, its options, the table of evaluations, and where it is served."
  value       = module.platform.engine_patch
}

output "engine_yaml" {
  description = "Per fleet, the same as lines of its YAML file."
  value       = module.platform.engine_yaml
}

output "environment" {
  description = "Environment variables of whoever runs modelfleet against this platform; Composer has them already."
  value       = module.platform.environment
}

output "connections" {
  description = "Airflow connections by id, as JSON."
  value       = module.platform.connections
}

output "package_upload" {
  description = "Where wheels are uploaded to, so that Airflow can install them."
  value       = module.platform.package_upload
}

output "image_prefix" {
  description = "What the images' names begin with."
  value       = module.platform.image_prefix
}

output "buckets" {
  description = "The buckets' names."
  value       = module.platform.buckets
}

output "topics" {
  description = "Per fleet, its topics."
  value       = module.platform.topics
}

output "subscriptions" {
  description = "Per fleet, its subscriptions."
  value       = module.platform.subscriptions
}

output "tables" {
  description = "Per fleet, its tables in BigQuery: predictions and evaluation."
  value       = module.platform.tables
}

output "templates" {
  description = "Of each job, its Flex Template; none before there are images."
  value       = module.platform.templates
}

output "secrets" {
  description = "Secrets that want a value."
  value       = module.platform.secrets
}

output "database" {
  description = "The database instance, and the user that must be granted its database once."
  value       = module.platform.database
}

output "github_variables" {
  description = "Variables of the environment on GitHub from which is deployed here, by the names that the workflows read."
  value       = module.platform.github_variables
}

output "airflow_uri" {
  description = "Address of Airflow's pages."
  value       = module.platform.airflow_uri
}
