locals {
  # The options of beam_jobs.serve, by the names that they have on the command line
  parameters = {
    fleet = "Name of the fleet"
    spec  = "The fleet's spec, YAML or JSON, as gs://bucket/file"
    home  = "The home of all fleets, as gs://bucket/folder"
  }
}

# What `gcloud dataflow flex-template build` writes. Nothing is launched here: a job comes and goes, and Terraform would
# start it anew whenever it has ended.
resource "google_storage_bucket_object" "serve" {
  bucket       = var.bucket
  name         = "modelfleet/${var.revision}/serve.json"
  content_type = "application/json"

  content = jsonencode({
    image   = var.image
    sdkInfo = { language = "PYTHON" }
    metadata = {
      name        = "modelfleet serve"
      description = "Answers requests, and swaps models as they are released"
      streaming   = true
      parameters  = [for name, help in local.parameters : { name = name, label = name, helpText = help, isOptional = false }]
    }
    defaultEnvironment = {
      serviceAccountEmail   = var.service_account
      subnetwork            = var.subnetwork
      ipConfiguration       = "WORKER_IP_PRIVATE"
      sdkContainerImage     = var.worker_image
      machineType           = var.machine_type
      maxWorkers            = var.max_workers
      stagingLocation       = "${var.staging}/staging"
      tempLocation          = "${var.staging}/temp"
      enableStreamingEngine = true
    }
  })
}
