# Reelway on Nomad: the roles of compose/compose.yaml as groups that scale apart.
#
#   nomad var put nomad/jobs/reelway redis_worker=… redis_gateway=… redis_reaper=… gateway_key=rw_…
#   nomad job run -var image=registry.example/reelway:0.1.0 -var redis_url=redis://redis.example:6379/0 nomad/reelway.hcl
#
# Redis (6.2 or newer, appendonly yes, maxmemory-policy noeviction) runs outside this job. `storage` is a volume that every
# client node mounts from the same place. A client that caps `max_kill_timeout` below 30 s cuts drains off; jobs that are
# cut off run again elsewhere after a lease.

variable "image" {
  type        = string
  description = "Image built from compose/Dockerfile, with a version tag or a digest"
}

variable "redis_url" {
  type        = string
  description = "Address of a server, a Redis Cluster or a primary behind Sentinels, without credentials. Users: compose/redis_rights"
}

variable "partitions" {
  type        = number
  default     = 16
  description = "Key partitions; fixed once the first role has started"
}

variable "transcode_count" {
  type    = number
  default = 2
}

job "reelway" {
  type = "service"

  update {
    max_parallel      = 1
    health_check      = "task_states"
    min_healthy_time  = "10s"
    healthy_deadline  = "3m"
    progress_deadline = "10m"
    auto_revert       = true
  }

  migrate {
    max_parallel     = 1
    health_check     = "task_states"
    min_healthy_time = "10s"
    healthy_deadline = "3m"
  }

  group "gateway" {
    count = 2

    restart {
      attempts = 3
      interval = "5m"
      delay    = "5s"
      mode     = "delay"
    }

    update {
      canary       = 1
      health_check = "checks"
    }

    network {
      port "http" {
        to = 8080
      }
    }

    service {
      name     = "reelway-gateway"
      provider = "nomad"
      port     = "http"

      check {
        type     = "http"
        path     = "/readyz"
        interval = "5s"
        timeout  = "3s"

        check_restart {
          limit = 6
          grace = "20s"
        }
      }
    }

    volume "storage" {
      type            = "csi"
      source          = "reelway-storage"
      access_mode     = "multi-node-multi-writer"
      attachment_mode = "file-system"
    }

    task "gateway" {
      driver         = "docker"
      user           = "10001:10001"
      kill_signal    = "SIGTERM"
      kill_timeout   = "30s"
      shutdown_delay = "3s"

      config {
        image           = var.image
        args            = ["run", "gateway"]
        ports           = ["http"]
        init            = true
        readonly_rootfs = true
        cap_drop        = ["ALL"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 512
        mount {
          type   = "tmpfs"
          target = "/tmp"
        }
      }

      volume_mount {
        volume      = "storage"
        destination = "/var/lib/reelway"
      }

      env {
        REELWAY_REDIS_URL           = var.redis_url
        REELWAY_REDIS_USERNAME      = "gateway"
        REELWAY_REDIS_PASSWORD_FILE = "${NOMAD_SECRETS_DIR}/redis_gateway"
        REELWAY_PARTITIONS          = var.partitions
        REELWAY_STORAGE_URL         = "file:///var/lib/reelway/storage"
        REELWAY_GATEWAY_HOST        = "0.0.0.0"
        REELWAY_GATEWAY_PORT        = "8080"
        REELWAY_GATEWAY_KEY_FILE    = "${NOMAD_SECRETS_DIR}/gateway_key"
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/reelway\" }}{{ .redis_gateway }}{{ end }}"
        destination = "${NOMAD_SECRETS_DIR}/redis_gateway"
        change_mode = "restart"
        perms       = "0444"
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/reelway\" }}{{ .gateway_key }}{{ end }}"
        destination = "${NOMAD_SECRETS_DIR}/gateway_key"
        change_mode = "restart"
        perms       = "0444"
      }

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }

  group "actors" {
    count = 2

    restart {
      attempts = 3
      interval = "5m"
      delay    = "5s"
      mode     = "delay"
    }

    volume "storage" {
      type            = "csi"
      source          = "reelway-storage"
      access_mode     = "multi-node-multi-writer"
      attachment_mode = "file-system"
    }

    task "actors" {
      driver       = "docker"
      user         = "10001:10001"
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      config {
        image           = var.image
        args            = ["run", "ingest", "fetch", "store", "notify"]
        init            = true
        readonly_rootfs = true
        cap_drop        = ["ALL"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 512
        mount {
          type   = "tmpfs"
          target = "/tmp"
        }
      }

      volume_mount {
        volume      = "storage"
        destination = "/var/lib/reelway"
      }

      env {
        REELWAY_REDIS_URL           = var.redis_url
        REELWAY_REDIS_USERNAME      = "worker"
        REELWAY_REDIS_PASSWORD_FILE = "${NOMAD_SECRETS_DIR}/redis_worker"
        REELWAY_PARTITIONS          = var.partitions
        REELWAY_STORAGE_URL         = "file:///var/lib/reelway/storage"
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/reelway\" }}{{ .redis_worker }}{{ end }}"
        destination = "${NOMAD_SECRETS_DIR}/redis_worker"
        change_mode = "restart"
        perms       = "0444"
      }

      resources {
        cpu    = 1000
        memory = 1024
      }
    }
  }

  group "transcode" {
    count = var.transcode_count

    restart {
      attempts = 3
      interval = "5m"
      delay    = "5s"
      mode     = "delay"
    }

    volume "storage" {
      type            = "csi"
      source          = "reelway-storage"
      access_mode     = "multi-node-multi-writer"
      attachment_mode = "file-system"
    }

    task "transcode" {
      driver       = "docker"
      user         = "10001:10001"
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      config {
        image           = var.image
        args            = ["run", "transcode"]
        init            = true
        readonly_rootfs = true
        cap_drop        = ["ALL"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 512
        mount {
          type   = "tmpfs"
          target = "/tmp"
        }
      }

      volume_mount {
        volume      = "storage"
        destination = "/var/lib/reelway"
      }

      env {
        REELWAY_REDIS_URL           = var.redis_url
        REELWAY_REDIS_USERNAME      = "worker"
        REELWAY_REDIS_PASSWORD_FILE = "${NOMAD_SECRETS_DIR}/redis_worker"
        REELWAY_PARTITIONS          = var.partitions
        REELWAY_STORAGE_URL         = "file:///var/lib/reelway/storage"
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/reelway\" }}{{ .redis_worker }}{{ end }}"
        destination = "${NOMAD_SECRETS_DIR}/redis_worker"
        change_mode = "restart"
        perms       = "0444"
      }

      resources {
        cpu    = 2000
        memory = 2048
      }
    }
  }

  group "reaper" {
    count = 2

    restart {
      attempts = 3
      interval = "5m"
      delay    = "5s"
      mode     = "delay"
    }

    volume "storage" {
      type            = "csi"
      source          = "reelway-storage"
      access_mode     = "multi-node-multi-writer"
      attachment_mode = "file-system"
    }

    task "reaper" {
      driver       = "docker"
      user         = "10001:10001"
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      config {
        image           = var.image
        args            = ["run", "reaper"]
        init            = true
        readonly_rootfs = true
        cap_drop        = ["ALL"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 512
        mount {
          type   = "tmpfs"
          target = "/tmp"
        }
      }

      volume_mount {
        volume      = "storage"
        destination = "/var/lib/reelway"
      }

      env {
        REELWAY_REDIS_URL           = var.redis_url
        REELWAY_REDIS_USERNAME      = "reaper"
        REELWAY_REDIS_PASSWORD_FILE = "${NOMAD_SECRETS_DIR}/redis_reaper"
        REELWAY_PARTITIONS          = var.partitions
        REELWAY_STORAGE_URL         = "file:///var/lib/reelway/storage"
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/reelway\" }}{{ .redis_reaper }}{{ end }}"
        destination = "${NOMAD_SECRETS_DIR}/redis_reaper"
        change_mode = "restart"
        perms       = "0444"
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
