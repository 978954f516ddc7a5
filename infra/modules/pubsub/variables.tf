variable "project" {
  description = "Id of the project."
  type        = string
}

variable "project_number" {
  description = "Number of the project: Pub/Sub's own account is named after it."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "A project's number has digits only; its id is another thing."
  }
}

variable "fleets" {
  description = "Task of each fleet. It decides whether a prediction is a label or a number."
  type        = map(string)

  validation {
    condition     = alltrue([for name in keys(var.fleets) : can(regex("^[a-z][a-z0-9_]{0,62}$", name))])
    error_message = "A fleet's name is that of its spec: lower case letters, digits and underscores."
  }

  validation {
    condition     = alltrue([for task in values(var.fleets) : contains(["binary", "multiclass", "regression"], task)])
    error_message = "A task is binary, multiclass or regression."
  }
}

variable "chunked" {
  description = "Fleets that are asked for many rows in one message. Their answers are lists, which neither the topic's schema nor a table's columns fit."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.chunked, keys(var.fleets))) == 0
    error_message = "Each is one of the fleets."
  }
}

variable "retention_days" {
  description = "Days for which an unanswered request, or an unread answer, is kept."
  type        = number
  default     = 7

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 31
    error_message = "Pub/Sub keeps messages for 1 to 31 days."
  }
}

variable "max_delivery_attempts" {
  description = "Deliveries after which a message that nobody takes goes to the topic of undelivered ones."
  type        = number
  default     = 10

  validation {
    condition     = var.max_delivery_attempts >= 5 && var.max_delivery_attempts <= 100
    error_message = "Pub/Sub takes 5 to 100 attempts."
  }
}

variable "predictions_tables" {
  description = "BigQuery table of each fleet's answers, as project.dataset.table; a fleet without one is not written there."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.predictions_tables), var.chunked)) == 0
    error_message = "A fleet that answers in chunks has no table: a list is no row."
  }
}

variable "workers" {
  description = "Who answers requests, by a name of your choice: members."
  type        = map(string)
  default     = {}
}

variable "promoters" {
  description = "Who publishes releases and tells of them."
  type        = map(string)
  default     = {}
}

variable "clients" {
  description = "Who sends requests and reads answers."
  type        = map(string)
  default     = {}
}
