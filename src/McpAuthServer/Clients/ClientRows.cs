using System.Data.Common;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Clients;

/// <summary>A client that no administrator registered, as it is stored.</summary>
/// <param name="RegistrationHash">Of the token it manages itself with; null for a document's.</param>
internal sealed record StoredClient(ClientRecord Client, string? RegistrationHash, DateTimeOffset Created);

/// <summary>Rows of clients that no administrator registered. Their metadata is the one text that everything else is read from.</summary>
internal sealed class ClientRows(IReadStore store)
{
    private static readonly Sql
        Select = new("select id, origin, metadata, secret_hash, state, registration_hash, created_at, fresh_until from clients where id = @id and origin <> 'registered'"),
        InsertOne = new(
            """
            insert into clients (id, name, auth_method, secret_hash, jwks, grant_types, legacy_audience, authority, state, changed_at, redirect_uris, tool_servers, origin, metadata,
              registration_hash, created_at, expires_at, fresh_until)
            values (@id, @name, @method, @secret, @jwks, @grants, @legacy, @authority, 'active', @now, @redirects, @servers, @origin, @metadata, @registration, @now, @expires, @fresh)
            on conflict do nothing
            """),
        UpdateOne = new(
            """
            update clients set name = @name, auth_method = @method, secret_hash = @secret, jwks = @jwks, grant_types = @grants, changed_at = @now, redirect_uris = @redirects,
              metadata = @metadata, fresh_until = @fresh
            where id = @id and origin = @origin and state = 'active' and metadata = @before
            """);

    /// <exception cref="InvalidDataException">A stored value does not read as what the server once wrote.</exception>
    public Task<StoredClient?> FindAsync(string id, CancellationToken cancel) => store.First(Select.With(id), Read, cancel);

    /// <summary>False when there is a client of that id.</summary>
    public static bool Insert(WriteTx tx, ClientRecord client, long now, string? registrationHash = null, long? expires = null) =>
        tx.Run(InsertOne.With(
            client.Id, client.Name, client.AuthMethod, client.SecretHash, Jwks(client), StoredText.FromSet(client.GrantTypes), 1L, client.Authority.ToJson(), now,
            StoredText.FromSet(client.RedirectUris), StoredText.FromSet(client.ToolServers), client.Origin, client.Metadata, registrationHash, expires, client.FreshUntil)) == 1;

    /// <summary>False when it is not <paramref name="before"/> any more. Only from units that raise the <see cref="RegistryVersion"/>.</summary>
    public static bool Update(WriteTx tx, ClientRecord client, ClientRecord before, long now) =>
        tx.Run(UpdateOne.With(
            client.Name, client.AuthMethod, client.SecretHash, Jwks(client), StoredText.FromSet(client.GrantTypes), now, StoredText.FromSet(client.RedirectUris), client.Metadata,
            client.FreshUntil, client.Id, client.Origin, before.Metadata)) == 1;

    private static StoredClient? Read(DbDataReader row)
    {
        var (id, origin) = (row.GetString(0), row.GetString(1));
        if (!ClientMetadataReader.Read(StoredText.Json(row.GetString(2)), origin, policy: null).TryGet(out var metadata, out var fault))
            throw new InvalidDataException($"A client's metadata does not read: {fault}");
        var client = metadata.ToClient(id, origin, row.IsDBNull(3) ? null : row.GetString(3), row.GetString(4) == RegistryState.Active);
        return new StoredClient(
            client with { FreshUntil = row.IsDBNull(7) ? null : row.GetInt64(7), InUse = origin == ClientOrigin.Document }, row.IsDBNull(5) ? null : row.GetString(5), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(6)));
    }

    private static string? Jwks(ClientRecord client) => client.Keys.Count == 0 ? null : ClientMetadata.KeySetOf(client.Keys);
}
