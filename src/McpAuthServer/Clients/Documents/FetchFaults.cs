namespace McpAuthServer.Clients.Documents;

/// <summary>
/// Why something was not fetched: for the audit record. Whoever asked is told one and the same for all that lies on the way, or the server would
/// tell strangers what its network looks like.
/// </summary>
internal static class FetchFaults
{
    public const string Address = "document_address", Host = "document_host", NotPublic = "document_not_public", Unreachable = "document_unreachable",
        Timeout = "document_timeout", Busy = "document_busy", Redirect = "document_redirect", Status = "document_status", Type = "document_type",
        TooLarge = "document_too_large", Malformed = "document_malformed", ClientId = "document_client_id",
        Metadata = "document_metadata";
}
