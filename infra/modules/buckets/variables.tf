variable "project" {
  description = "Id of the project."
  type        = string
}

variable "location" {
  description = "Where the buckets lie: the workers' region, or traffic between regions is paid for."
  type        = string
}

variable "prefix" {
  description = "What the buckets' names begin with; the world's bucket names are one space, so the project's id is part of it."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{2,50}$", var.prefix))
    error_message = "The prefix has 3 to 51 lower case letters, digits and dashes."
  }
}

variable "notice_topic" {
  description = "Id of the Pub/Sub topic that is told of new objects in the home bucket, releases among them."
  type        = string
}

variable "staging_days" {
  description = "Days after which what Dataflow staged is deleted; longer than any job runs, for a job reads it again when it scales."
  type        = number
  default     = 30

  validation {
    condition     = var.staging_days >= 14
    error_message = "At least 14 days: a streaming job that runs longer than that loses its own packages."
  }
}

variable "old_version_days" {
  description = "Days for which a deleted or overwritten object can be had back."
  type        = number
  default     = 30

  validation {
    condition     = var.old_version_days >= 7
    error_message = "At least 7 days, so that a mistake made on a Friday can be mended on Monday."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may delete buckets with objects in them. Never in production."
  type        = bool
  default     = false
}

variable "promoters" {
  description = "Who publishes releases, by a name of your choice: they add new ones, and cannot change or delete an old one."
  type        = map(string)
  default     = {}
}

variable "workers" {
  description = "Who reads bundles and releases and writes leases, answers and run folders, but no release."
  type        = map(string)
  default     = {}
}

variable "stagers" {
  description = "Who reads and writes what jobs stage."
  type        = map(string)
  default     = {}
}

variable "deployers" {
  description = "Who writes Flex Templates and DAGs."
  type        = map(string)
  default     = {}
}

variable "artifact_writers" {
  description = "Who reads and writes MLflow's artifacts: the MLflow server, and nobody behind its back."
  type        = map(string)
  default     = {}
}

variable "docs_readers" {
  description = "Who reads the pages of Great Expectations."
  type        = map(string)
  default     = {}
}
