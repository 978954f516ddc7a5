variable "bucket" {
  description = "Name of the bucket for templates."
  type        = string
}

variable "revision" {
  description = "What the template's folder is called: the version or commit that the images were built from."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", var.revision))
    error_message = "The revision has letters, digits, dots, dashes and underscores."
  }
}

variable "image" {
  description = "Image of the launcher, by digest: the target template of beam_jobs/Dockerfile."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image is named by its digest (name@sha256:...): a template starts the same bytes for ever."
  }
}

variable "worker_image" {
  description = "Image of the workers, by digest; the launcher was built from the same revision."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.worker_image))
    error_message = "The image is named by its digest (name@sha256:...): workers that join later run the same bytes."
  }
}

variable "service_account" {
  description = "E-mail address of the account that builds the pipeline and runs the job: that of the workers."
  type        = string
}

variable "subnetwork" {
  description = "Subnetwork of the workers, as Dataflow takes it."
  type        = string
}

variable "staging" {
  description = "Folder for what jobs stage, as gs://bucket/folder."
  type        = string

  validation {
    condition     = can(regex("^gs://[a-z0-9][a-z0-9._-]+/.+[^/]$", var.staging))
    error_message = "The folder is given as gs://bucket/folder, without a slash at the end."
  }
}

variable "machine_type" {
  description = "Machine of the workers."
  type        = string
  default     = "n2-standard-4"
}

variable "max_workers" {
  description = "Most workers of one job."
  type        = number
  default     = 20

  validation {
    condition     = var.max_workers >= 1 && var.max_workers <= 1000
    error_message = "1 to 1000 workers."
  }
}
