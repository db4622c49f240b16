using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpAuthServer.Registry;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Storage;

namespace McpAuthServer.Clients.Documents;

/// <summary>
/// Clients whose id is the address of a document about them (draft-ietf-oauth-client-id-metadata-document). What a document says is kept in memory
/// until a person has allowed the client something; only then is it a row, so strangers can fill no table.
/// </summary>
internal sealed class ClientDocuments
{
    public const string Scheme = "https://";

    /// <summary>draft-ietf-oauth-client-id-metadata-document, on the size of a response.</summary>
    public const int MaxBytes = 5 * 1024;

    private readonly ClientDocumentOptions options;
    private readonly FetchPolicy policy;
    private readonly FetchOnce<ClientRecord> documents;
    private readonly TimeProvider time;

    public ClientDocuments(FetchPolicy policy, DocumentFetcher fetcher, ClientRows rows, ICommitLog log, ServerOptions server, TimeProvider time)
    {
        (options, this.policy, this.time) = (server.ClientDocuments, policy, time);
        documents = new(LoadAsync, time);

        async Task<Result<(ClientRecord, TimeSpan)>> LoadAsync(Uri url, bool isKnown)
        {
            if (!(await fetcher.FetchAsync(url, MaxBytes, isKnown)).TryGet(out var document, out var fault) || !Read(url.AbsoluteUri, document.Body, policy).TryGet(out var said, out fault))
                return fault;
            // The row, where there is one, is what all nodes go by.
            var now = time.GetUtcNow();
            said = said with { FreshUntil = (now + document.FreshFor).ToUnixTimeMilliseconds() };
            if (await rows.FindAsync(said.Id, CancellationToken.None) is not { Client: var stored })
                return (said, document.FreshFor);
            await log.Commit(new KeepDocument(said, stored, now, server.Node));
            return (said with { InUse = true }, document.FreshFor);
        }
    }

    /// <summary>Whether the id may stand for a document here. No: also a client that was known by one is none any more.</summary>
    public Result<Uri> Address(string id)
    {
        if (!options.Enabled)
            return new Fault(ClientDirectory.UnknownClient, "The client is unknown.");
        if (!policy.Read(id).TryGet(out var url, out var fault))
            return fault;
        // §3: a path, and no query where it can be helped. Here it can: nothing a client is told by changes from one request to the next.
        if (url.AbsolutePath == "/" || id.Contains('?', StringComparison.Ordinal))
            return new Fault(FetchFaults.Address, "It must have a path, and no query.");
        // An administrator must be able to name every client that there is.
        return ApplyGrammar.IsClientId(id) ? url : new Fault(FetchFaults.Address, "It must have at most 200 of A-Z a-z 0-9 . _ ~ : / -.");
    }

    /// <summary>The client as its document says now.</summary>
    /// <param name="stored">Its row, if any.</param>
    public async Task<Result<ClientRecord>> FindAsync(string id, ClientRecord? stored, CancellationToken cancel)
    {
        if (!Address(id).TryGet(out var url, out var fault))
            return fault;
        if (stored is not null && !IsDue(stored))
            return stored;
        // What was fetched before the row went stale is no newer than the row.
        var asked = documents.GetAsync(url, stored is not null, stored?.FreshUntil is { } until ? DateTimeOffset.FromUnixTimeMilliseconds(until) : null);
        return (await asked.WaitAsync(cancel)).TryGet(out var fetched, out fault) ? fetched.Value : fault;
    }

    /// <summary>Whether its document is to be fetched again before anything is decided by it.</summary>
    public bool IsDue(ClientRecord client) => client.Origin == ClientOrigin.Document && !(client.FreshUntil > time.GetUtcNow().ToUnixTimeMilliseconds());

    private static Result<ClientRecord> Read(string id, ReadOnlyMemory<byte> body, FetchPolicy policy)
    {
        if (!StrictJson.Parse(body, new JsonLimits(MaxBytes)).TryGet(out var json, out var fault))
            return new Fault(FetchFaults.Malformed, fault.Message);
        if (json.ValueKind != JsonValueKind.Object)
            return new Fault(FetchFaults.Malformed, "It is no JSON object.");
        // §4: byte for byte. A document of somebody else's, served from here, is not this client's.
        if (!json.TryGetProperty(Names.OAuth.ClientId, out var said) || said.ValueKind != JsonValueKind.String || said.GetString() != id)
            return new Fault(FetchFaults.ClientId, "Its client_id is not exactly the address it came from.");
        return ClientMetadataReader.Read(json, ClientOrigin.Document, policy).TryGet(out var metadata, out fault)
            ? metadata.ToClient(id, ClientOrigin.Document, null, active: true)
            : new Fault(FetchFaults.Metadata, fault.Path is null ? fault.Message : $"{fault.Message} ({fault.Path})");
    }
}
