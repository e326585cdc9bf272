/// Users and groups by number, of the host and of containers by their own passwd and group files. The sensor's thread alone uses it.
package final class AccountTable {
    package init() {}
}
