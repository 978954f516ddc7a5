output "network" {
  description = "Id of the network."
  value       = google_compute_network.this.id
}

output "subnetwork" {
  description = "Id of the subnetwork."
  value       = google_compute_subnetwork.this.id
}

output "dataflow_subnetwork" {
  description = "The subnetwork as Dataflow's option --subnetwork takes it."
  value       = "regions/${google_compute_subnetwork.this.region}/subnetworks/${google_compute_subnetwork.this.name}"
}

output "private_services_network" {
  description = "Id of the network, known only once it is peered with Google's private services."
  value       = google_compute_network.this.id
  depends_on  = [google_service_networking_connection.this]
}
