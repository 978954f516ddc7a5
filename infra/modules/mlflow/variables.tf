variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region of the service."
  type        = string
}

variable "image" {
  description = "The MLflow server's image, by digest: a restart starts the same bytes."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image is named by its digest (name@sha256:...): a tag may move between two restarts."
  }
}

variable "proxy_image" {
  description = "The Cloud SQL proxy's image."
  type        = string
  default     = "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.18.2"
}

variable "service_account" {
  description = "E-mail address of the account that the server runs as."
  type        = string
}

variable "subnetwork" {
  description = "Id of the subnetwork through which it reaches the database."
  type        = string
}

variable "database" {
  description = "Where runs and models are kept: the instance's connection name, the database, and its user."
  type = object({
    connection_name = string
    name            = string
    user            = string
  })
}

variable "artifacts_bucket" {
  description = "Name of the bucket for artifacts."
  type        = string
}

variable "internal_only" {
  description = "Whether only the project's own networks reach it. Otherwise the world does, as far as the sign-in."
  type        = bool
  default     = true
}

variable "invokers" {
  description = "Who may call it, by a name of your choice: members. Nobody else gets in, from wherever he comes."
  type        = map(string)

  validation {
    condition     = alltrue([for member in values(var.invokers) : !contains(["allUsers", "allAuthenticatedUsers"], member)])
    error_message = "The tracking server is not opened to all: whoever can write to it chooses the models' records."
  }
}

variable "max_instances" {
  description = "Most instances at once."
  type        = number
  default     = 2

  validation {
    condition     = var.max_instances >= 1 && var.max_instances <= 10
    error_message = "1 to 10 instances: each holds connections to the database."
  }
}
