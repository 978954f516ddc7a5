variable "project" {
  description = "Id of the project."
  type        = string
}

variable "emails" {
  description = "Who is told, by a name of your choice: e-mail addresses."
  type        = map(string)

  validation {
    condition     = alltrue([for email in values(var.emails) : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "Each is an e-mail address."
  }

  validation {
    condition     = length(var.emails) > 0
    error_message = "An alert that nobody is told of is none: give at least one address."
  }
}

variable "request_subscriptions" {
  description = "Names of the subscriptions from which serving jobs read, by fleet."
  type        = map(string)
}

variable "undelivered_subscription" {
  description = "Name of the subscription that holds what nobody took."
  type        = string
}

variable "composer_environment" {
  description = "Name of the Composer environment."
  type        = string
}

variable "oldest_request_seconds" {
  description = "Age of the oldest unanswered request above which somebody is told."
  type        = number
  default     = 120

  validation {
    condition     = var.oldest_request_seconds >= 30
    error_message = "At least 30 s: Pub/Sub measures the age once a minute."
  }
}

variable "lag_seconds" {
  description = "Longest that a serving job may be behind before somebody is told."
  type        = number
  default     = 120

  validation {
    condition     = var.lag_seconds >= 30
    error_message = "At least 30 s: Dataflow reports its lag once a minute."
  }
}

variable "dead_letter_share" {
  description = "Share of requests that may end as dead letters within ten minutes."
  type        = number
  default     = 0.01

  validation {
    condition     = var.dead_letter_share > 0 && var.dead_letter_share < 1
    error_message = "The share is above 0 and below 1 (0.01 means one in a hundred)."
  }
}
