using System.Text.Json;
using McpAuth.Protocol;
using McpAuthServer.Clients.Registrations;

namespace McpAuthServer.Registration;

/// <summary>The client information response (RFC 7591 §3.2.1, RFC 7592 §3): all that is registered, as it is stored, and what the client needs to use and manage it.</summary>
internal sealed record RegistrationAnswer(OwnRegistration Registration, Issuer Issuer, int Status) : IResult
{
    public async Task ExecuteAsync(HttpContext context)
    {
        var client = Registration.Client;
        context.Response.StatusCode = Status;
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter.AsStream());
        json.WriteStartObject();
        json.WriteString(Names.OAuth.ClientId, client.Id);
        json.WriteNumber(Names.Registration.IssuedAt, Registration.Stored.Created.ToUnixTimeSeconds());
        if (Registration.Secret is { } secret)
            json.WriteString(Names.OAuth.ClientSecret, secret);
        // RFC 7591 §3.2.1: beside a secret; 0 = never.
        if (client.SecretHash is not null)
            json.WriteNumber(Names.Registration.SecretExpiresAt, 0);
        json.WriteString(Names.Registration.AccessToken, Registration.Token);
        json.WriteString(Names.Registration.ClientUri, $"{Issuer.Value}{Names.Paths.Register}/{client.Id}");
        foreach (var member in Registry.StoredText.Json(client.Metadata!).EnumerateObject())
            member.WriteTo(json);
        json.WriteEndObject();
    }
}
