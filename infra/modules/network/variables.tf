variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region of the subnetwork, and of everything that runs in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region looks like europe-west1."
  }
}

variable "name" {
  description = "Name of the network, and the beginning of the names of its parts."
  type        = string
  default     = "modelfleet"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,40}$", var.name))
    error_message = "The name has at most 41 lower case letters, digits and dashes and begins with a letter."
  }
}

variable "subnetwork_range" {
  description = "Addresses of workers and services, as CIDR. Each Dataflow worker takes one."
  type        = string
  default     = "10.10.0.0/20"

  validation {
    condition     = can(cidrnetmask(var.subnetwork_range)) && try(tonumber(split("/", var.subnetwork_range)[1]) <= 24, false)
    error_message = "The range is IPv4 CIDR of at least 256 addresses, such as 10.10.0.0/20."
  }
}

variable "private_services_prefix" {
  description = "Length of the prefix reserved for Google's side of private services (Cloud SQL)."
  type        = number
  default     = 20

  validation {
    condition     = var.private_services_prefix >= 16 && var.private_services_prefix <= 24
    error_message = "The prefix length is 16 to 24: Cloud SQL needs at least a /24."
  }
}
