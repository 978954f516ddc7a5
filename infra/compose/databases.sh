#!/bin/bash
# Run once by Postgres, when its volume is new: a database and a user each for Airflow and MLflow. Neither may open the
# other's.
set -euo pipefail
for name in airflow mlflow; do
  password=$(<"/run/secrets/${name}_database_password")
  psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set=name="$name" --set=password="$password" <<'END'
CREATE USER :"name" PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
END
done
