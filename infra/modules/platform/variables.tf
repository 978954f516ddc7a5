variable "project" {
  description = "Id of the Google Cloud project: one per environment, so that dev cannot touch prod."
  type        = string
}

variable "region" {
  description = "Region of everything."
  type        = string
}

variable "fleets" {
  description = "Task of each fleet that runs here, by the name in its spec."
  type        = map(string)
}

variable "chunked" {
  description = "Fleets that are asked for many rows in one message: their answers are lists, and reach no table."
  type        = set(string)
  default     = []
}

variable "repository" {
  description = "The repository on GitHub whose workflows deploy, as owner/name."
  type        = string
}

variable "owner_id" {
  description = "GitHub's number of the repository's owner."
  type        = string
}

variable "deploy_environment" {
  description = "The environment on GitHub that deploys here."
  type        = string
}

variable "state_bucket" {
  description = "The bucket with Terraform's state."
  type        = string
}

variable "images" {
  description = "Images by digest: the MLflow server, and for the Flex Template its launcher and the workers of its jobs. Null until they have been pushed: the registry comes first."
  type = object({
    revision = string
    mlflow   = string
    worker   = optional(string)
    launcher = optional(string)
  })
  default = null
}

variable "packages" {
  description = "Python packages of Airflow besides modelfleet, which a deployment sets: name to version."
  type        = map(string)
  default     = {}
}

variable "registry_readers" {
  description = "Who may pull images besides the platform's own accounts, by a name of your choice: members, such as the deployer of the next environment."
  type        = map(string)
  default     = {}
}

variable "emails" {
  description = "Who is told when something is wrong, by a name of your choice."
  type        = map(string)
}

variable "clients" {
  description = "Who sends requests and reads answers and predictions, by a name of your choice: members."
  type        = map(string)
  default     = {}
}

variable "people" {
  description = "Who opens MLflow and the pages of Great Expectations, by a name of your choice: members."
  type        = map(string)
  default     = {}
}

variable "billing_account" {
  description = "The billing account to set a budget on; null sets none (it takes rights on the account itself)."
  type        = string
  default     = null
}

variable "monthly_budget" {
  description = "What a month may cost, in whole units of the account's currency."
  type        = number
  default     = 1000
}

variable "protected" {
  description = "Whether database, tables and buckets refuse to be deleted."
  type        = bool
  default     = true
}

variable "resilient" {
  description = "Whether database and Airflow survive the loss of a zone."
  type        = bool
  default     = false
}

variable "database_tier" {
  description = "Machine of the database."
  type        = string
  default     = "db-custom-1-3840"
}

variable "composer_size" {
  description = "Size of the Composer environment."
  type        = string
  default     = "ENVIRONMENT_SIZE_SMALL"
}

variable "machine_type" {
  description = "Machine of the Dataflow workers."
  type        = string
  default     = "n2-standard-4"
}

variable "max_workers" {
  description = "Most Dataflow workers of one job."
  type        = number
  default     = 20
}
