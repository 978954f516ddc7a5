variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region of the environment."
  type        = string
}

variable "name" {
  description = "Name of the environment."
  type        = string
  default     = "modelfleet"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,62}[a-z0-9])?$", var.name))
    error_message = "The name has at most 64 lower case letters, digits and dashes and begins with a letter."
  }
}

variable "image_version" {
  description = "Composer's image. Composer 3 and Airflow 3 are what the DAGs are written for."
  type        = string
  default     = "composer-3-airflow-3"

  validation {
    condition     = can(regex("^composer-3-airflow-3(\\.[0-9]+(\\.[0-9]+)?(-build\\.[0-9]+)?)?$", var.image_version))
    error_message = "The image is Composer 3 with Airflow 3, such as composer-3-airflow-3.1.0-build.2."
  }
}

variable "size" {
  description = "Size of the environment's own parts."
  type        = string
  default     = "ENVIRONMENT_SIZE_SMALL"

  validation {
    condition     = contains(["ENVIRONMENT_SIZE_SMALL", "ENVIRONMENT_SIZE_MEDIUM", "ENVIRONMENT_SIZE_LARGE"], var.size)
    error_message = "The size is ENVIRONMENT_SIZE_SMALL, ENVIRONMENT_SIZE_MEDIUM or ENVIRONMENT_SIZE_LARGE."
  }
}

variable "resilient" {
  description = "Whether scheduler and web server run in two zones."
  type        = bool
  default     = false
}

variable "network" {
  description = "Id of the network."
  type        = string
}

variable "subnetwork" {
  description = "Id of the subnetwork."
  type        = string
}

variable "service_account" {
  description = "E-mail address of the account that the tasks run as."
  type        = string
}

variable "dags_bucket" {
  description = "Name of the bucket with the folders dags and plugins."
  type        = string
}

variable "environment" {
  description = "Environment variables of every Airflow process. No secrets: anybody who may see the environment reads them."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[A-Z][A-Z0-9_]*$", name)) && !startswith(name, "AIRFLOW")])
    error_message = "A name has upper case letters, digits and underscores; what begins with AIRFLOW is Composer's own."
  }
}

variable "package_index" {
  description = "What pip installs from, as https://...; null means PyPI."
  type        = string
  default     = null

  validation {
    condition     = var.package_index == null ? true : startswith(var.package_index, "https://") && endswith(var.package_index, "/simple/")
    error_message = "The index is given as https://.../simple/."
  }
}

variable "packages" {
  description = "Python packages besides modelfleet, which a deployment sets: name to extras and version, such as \"==1.2.3\"."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for version in values(var.packages) : can(regex("(^|])==[0-9]", version))])
    error_message = "Each package is pinned: \"==1.2.3\", or \"[extra]==1.2.3\"."
  }
}

variable "web_ranges" {
  description = "Who reaches Airflow's pages (after signing in): a name to a CIDR range. None means from everywhere."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for range in values(var.web_ranges) : can(cidrhost(range, 0))])
    error_message = "Each range is CIDR, such as 203.0.113.0/24."
  }
}

variable "workers" {
  description = "Fewest and most Airflow workers. They only submit and watch jobs, so few are enough."
  type = object({
    least = number
    most  = number
  })
  default = { least = 1, most = 3 }

  validation {
    condition     = var.workers.least >= 1 && var.workers.most >= var.workers.least
    error_message = "At least one worker, and no fewer at most than at least."
  }
}

variable "deployers" {
  description = "Who deploys modelfleet's package, by a name of your choice: members."
  type        = map(string)
  default     = {}
}
