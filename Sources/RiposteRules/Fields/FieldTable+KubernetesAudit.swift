extension FieldTable {
    /// Fields of Kubernetes audit events (spec: alert-inputs.md 3). Of those about a request most are only there at the audit level Request.
    static let kubernetesAudit = FieldTable(
        source: "k8s_audit",
        text: """
            ka.auditid | string | - | - | id of the request, the same in all its stages
            ka.stage | string | - | - | how far the request had come: RequestReceived, ResponseStarted, ResponseComplete or Panic
            ka.verb | string | - | - | what was asked for: create, get, delete, patch and others
            ka.uri | string | - | - | path and query of the request
            ka.uri.param | string | [key] | - | first value of one parameter of the query, decoded: ka.uri.param[command]
            ka.useragent | string | - | - | program that the client says it is
            ka.sourceips | list(string) | [n]? | - | addresses that the request came from, proxies included
            ka.cluster.name | string | - | - | name of the cluster, where an annotation of the event gives it
            ka.user.name | string | - | - | user that made the request
            ka.user.groups | list(string) | - | - | groups of the user that made the request
            ka.impuser.name | string | - | - | user in whose name the request was made, if that is another
            ka.auth.decision | string | - | - | allow or forbid
            ka.auth.reason | string | - | - | why it was allowed or forbidden: the role and binding that decided
            ka.auth.openshift.decision | string | - | - | what OpenShift decided of the login: allow, deny or error
            ka.auth.openshift.username | string | - | - | user whom OpenShift asked to log in
            ka.validations.admission.policy.failure | string | - | - | what a validating admission policy found wrong, as JSON text
            ka.security.pod.violations | string | - | - | rules of the Pod Security Standards that the pod breaks
            ka.response.code | string | - | - | HTTP status of the answer, as text: 201
            ka.response.reason | string | - | - | short reason of a failure: Forbidden, NotFound

            ka.target.resource | string | - | - | kind of what was asked for, in the plural: pods, configmaps
            ka.target.subresource | string | - | - | part of it that was asked for: exec, attach, log; absent for the whole
            ka.target.name | string | - | - | name of what was asked for; absent for lists and for names that the server makes
            ka.target.namespace | string | - | - | namespace of what was asked for; absent where there is none
            ka.target.pod.name | string | - | - | name of the pod in the answer, where a pod itself was asked for
            ka.resp.name | string | - | - | name of the object in the answer

            ka.req.binding.role | string | - | - | name of the role that a binding in the request grants
            ka.req.binding.subjects | list(string) | - | - | users, groups and service accounts that a binding names, each as JSON text
            ka.req.binding.subjects.user_names | list(string) | - | - | users that a binding names
            ka.req.binding.subjects.group_names | list(string) | - | - | groups that a binding names
            ka.req.binding.subjects.serviceaccount_names | list(string) | - | - | service accounts that a binding names
            ka.req.binding.subjects.serviceaccount_ns_names | list(string) | - | - | service accounts that a binding names, as namespace:name
            ka.req.role.rules | list(string) | - | - | rules of a role in the request, each as JSON text
            ka.req.role.rules.apiGroups | list(string) | [n]? | - | API groups that the rules of a role are about
            ka.req.role.rules.resources | list(string) | [n]? | - | resources that the rules of a role are about; * for all
            ka.req.role.rules.verbs | list(string) | [n]? | - | verbs that the rules of a role allow; * for all
            ka.req.role.rules.nonResourceURLs | list(string) | [n]? | - | paths outside of resources that the rules of a role allow
            ka.req.configmap.name | string | - | - | name of the configmap
            ka.req.configmap.obj | string | - | - | data of a configmap in the request, as JSON text
            ka.req.service.type | string | - | - | type of a service in the request: ClusterIP, NodePort, LoadBalancer
            ka.req.service.ports | list(string) | [n]? | - | ports of a service in the request, as JSON text

            ka.req.pod.host_ipc | string | - | - | true where a pod in the request asks for the host's IPC namespace
            ka.req.pod.host_network | string | - | - | true where a pod in the request asks for the host's network
            ka.req.pod.host_pid | string | - | - | true where a pod in the request asks for the host's processes
            ka.req.pod.run_as_user | string | - | - | user id that a pod asks for on behalf of its containers
            ka.req.pod.run_as_group | string | - | - | group id that a pod asks for on behalf of its containers
            ka.req.pod.fs_group | string | - | - | group id that is to own the volumes of a pod
            ka.req.pod.supplemental_groups | list(string) | - | - | further group ids that a pod asks for
            ka.req.pod.volumes.hostpath | list(string) | [n]? | - | paths of the host that a pod mounts
            ka.req.pod.volumes.flexvolume_driver | list(string) | [n]? | - | drivers of the FlexVolumes that a pod mounts
            ka.req.pod.volumes.volume_type | list(string) | [n]? | - | types of the volumes that a pod mounts: hostPath, secret, emptyDir

            ka.req.pod.containers.name | list(string) | [n]? | - | name of each container of a pod
            ka.req.pod.containers.image | list(string) | [n]? | - | image of each container of a pod
            ka.req.pod.containers.image.repository | list(string) | [n]? | - | image of each container up to the first : or @: reg:5000/a gives reg
            ka.req.pod.containers.command | list(string) | [n]? | - | command of each container that sets one, its words joined by blanks
            ka.req.pod.containers.args | list(string) | [n]? | - | arguments of each container that sets some, joined by blanks
            ka.req.pod.containers.privileged | list(string) | [n]? | - | true or false per container that sets privileged
            ka.req.pod.containers.allow_privilege_escalation | list(string) | [n]? | - | true or false per container that sets allowPrivilegeEscalation
            ka.req.pod.containers.read_only_fs | list(string) | [n]? | - | true or false per container that sets readOnlyRootFilesystem
            ka.req.pod.containers.run_as_user | list(string) | [n]? | - | user id of each container that sets one
            ka.req.pod.containers.run_as_group | list(string) | [n]? | - | group id of each container that sets one
            ka.req.pod.containers.eff_run_as_user | list(string) | [n]? | - | user id that each container starts with: its own, or the pod's, or 0
            ka.req.pod.containers.eff_run_as_group | list(string) | [n]? | - | group id that each container starts with: its own, or the pod's, or 0
            ka.req.pod.containers.proc_mount | list(string) | [n]? | - | Default or Unmasked per container that says how /proc is mounted
            ka.req.pod.containers.add_capabilities | list(string) | [n]? | - | capabilities that each container adds, per container as JSON text
            ka.req.pod.containers.host_port | list(string) | [n]? | - | port on the host of each port of each container, or the container's own where it has none

            ka.req.pod.initContainers.name | list(string) | [n]? | - | name of each init container of a pod
            ka.req.pod.initContainers.image | list(string) | [n]? | - | image of each init container of a pod
            ka.req.pod.initContainers.image.repository | list(string) | [n]? | - | image of each init container up to the first : or @: reg:5000/a gives reg
            ka.req.pod.initContainers.command | list(string) | [n]? | - | command of each init container that sets one, its words joined by blanks
            ka.req.pod.initContainers.args | list(string) | [n]? | - | arguments of each init container that sets some, joined by blanks
            ka.req.pod.initContainers.privileged | list(string) | [n]? | - | true or false per init container that sets privileged
            ka.req.pod.initContainers.allow_privilege_escalation | list(string) | [n]? | - | true or false per init container that sets allowPrivilegeEscalation
            ka.req.pod.initContainers.read_only_fs | list(string) | [n]? | - | true or false per init container that sets readOnlyRootFilesystem
            ka.req.pod.initContainers.run_as_user | list(string) | [n]? | - | user id of each init container that sets one
            ka.req.pod.initContainers.run_as_group | list(string) | [n]? | - | group id of each init container that sets one
            ka.req.pod.initContainers.eff_run_as_user | list(string) | [n]? | - | user id that each init container starts with: its own, or the pod's, or 0
            ka.req.pod.initContainers.eff_run_as_group | list(string) | [n]? | - | group id that each init container starts with: its own, or the pod's, or 0
            ka.req.pod.initContainers.proc_mount | list(string) | [n]? | - | Default or Unmasked per init container that says how /proc is mounted
            ka.req.pod.initContainers.add_capabilities | list(string) | [n]? | - | capabilities that each init container adds, per init container as JSON text
            ka.req.pod.initContainers.host_port | list(string) | [n]? | - | port on the host of each port of each init container, or the container's own where it has none

            ka.req.pod.ephemeralContainers.name | list(string) | [n]? | - | name of each ephemeral container of a pod
            ka.req.pod.ephemeralContainers.image | list(string) | [n]? | - | image of each ephemeral container of a pod
            ka.req.pod.ephemeralContainers.image.repository | list(string) | [n]? | - | image of each ephemeral container up to the first : or @: reg:5000/a gives reg
            ka.req.pod.ephemeralContainers.command | list(string) | [n]? | - | command of each ephemeral container that sets one, its words joined by blanks
            ka.req.pod.ephemeralContainers.args | list(string) | [n]? | - | arguments of each ephemeral container that sets some, joined by blanks
            ka.req.pod.ephemeralContainers.privileged | list(string) | [n]? | - | true or false per ephemeral container that sets privileged
            ka.req.pod.ephemeralContainers.allow_privilege_escalation | list(string) | [n]? | - | true or false per ephemeral container that sets allowPrivilegeEscalation
            ka.req.pod.ephemeralContainers.read_only_fs | list(string) | [n]? | - | true or false per ephemeral container that sets readOnlyRootFilesystem
            ka.req.pod.ephemeralContainers.run_as_user | list(string) | [n]? | - | user id of each ephemeral container that sets one
            ka.req.pod.ephemeralContainers.run_as_group | list(string) | [n]? | - | group id of each ephemeral container that sets one
            ka.req.pod.ephemeralContainers.eff_run_as_user | list(string) | [n]? | - | user id that each ephemeral container starts with: its own, or the pod's, or 0
            ka.req.pod.ephemeralContainers.eff_run_as_group | list(string) | [n]? | - | group id that each ephemeral container starts with: its own, or the pod's, or 0
            ka.req.pod.ephemeralContainers.proc_mount | list(string) | [n]? | - | Default or Unmasked per ephemeral container that says how /proc is mounted
            ka.req.pod.ephemeralContainers.add_capabilities | list(string) | [n]? | - | capabilities that each ephemeral container adds, per ephemeral container as JSON text

            ka.req.container.image | string | - | - | older form of ka.req.pod.containers.image: of the first container
            ka.req.container.image.repository | string | - | - | older form of ka.req.pod.containers.image.repository: of the first container
            ka.req.container.privileged | string | - | - | older form of ka.req.pod.containers.privileged: true if one of them is
            ka.req.container.host_network | string | - | - | older name of ka.req.pod.host_network
            ka.req.volume.hostpath | string | [key] | - | true if a pod mounts the path of the host, or with * at the end one that begins so; else false
            ka.req.binding.subject.has_name | string | [key] | deprecated | always true
            """)
}
