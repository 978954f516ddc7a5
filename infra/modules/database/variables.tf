variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region of the instance."
  type        = string
}

variable "name" {
  description = "Name of the instance. A deleted instance's name cannot be used again for a week."
  type        = string
  default     = "modelfleet"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,83}$", var.name))
    error_message = "The name has at most 84 lower case letters, digits and dashes and begins with a letter."
  }
}

variable "network" {
  description = "Id of the network, peered with Google's private services: the instance has no public address."
  type        = string
}

variable "tier" {
  description = "Machine of the instance."
  type        = string
  default     = "db-custom-1-3840"

  validation {
    condition     = can(regex("^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+|perf-optimized-N-[0-9]+)$", var.tier))
    error_message = "A tier is named like db-custom-1-3840."
  }
}

variable "high_availability" {
  description = "Whether a second instance in another zone takes over; doubles the price."
  type        = bool
  default     = false
}

variable "backups" {
  description = "How many daily backups are kept."
  type        = number
  default     = 14

  validation {
    condition     = var.backups >= 7 && var.backups <= 365
    error_message = "7 to 365 backups are kept: a fault may be found only after a week."
  }
}

variable "log_days" {
  description = "Days of which any point in time can be restored."
  type        = number
  default     = 7

  validation {
    condition     = var.log_days >= 1 && var.log_days <= 7
    error_message = "Cloud SQL's Enterprise edition keeps 1 to 7 days of logs."
  }
}

variable "deletion_protection" {
  description = "Whether the instance refuses to be deleted, by Terraform and by everybody else."
  type        = bool
  default     = true
}

variable "databases" {
  description = "Name of each database, and the e-mail address of the service account that uses it."
  type        = map(string)

  validation {
    condition     = alltrue([for email in values(var.databases) : endswith(email, ".gserviceaccount.com")])
    error_message = "A database belongs to a service account, given by its e-mail address."
  }
}
