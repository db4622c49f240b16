using System.CommandLine;
using McpAuthServer.People;
using McpAuthServer.Registry.Apply;

namespace McpAuthServer;

/// <summary>The command line: what to apply before serving, or to do instead; everything else is configuration (<c>--McpAuth:Issuer=…</c>).</summary>
/// <param name="RotateKeys">Rotate the signing keys instead of serving.</param>
/// <param name="RevokeKey">The signing key that is to be revoked instead of serving.</param>
/// <param name="SetupLink">The user whose setup link is to be printed instead of serving.</param>
/// <param name="Configuration">Arguments for the host's configuration.</param>
internal sealed record CommandLine(IReadOnlyList<string> Apply, bool ApplyOnly, bool RotateKeys, string? RevokeKey, string? SetupLink, string[] Configuration)
{
    private static readonly HashSet<string> HostKeys = new(StringComparer.OrdinalIgnoreCase) { "environment", "contentRoot", "applicationName", "urls", "Kestrel", "Logging", ServerOptions.Section };

    /// <returns>The command line, or the exit code when it was answered here (help, schema, an error).</returns>
    public static (CommandLine? Line, int ExitCode) Parse(string[] args)
    {
        var apply = new Option<string[]>("--apply") { Description = "Apply a registry file before serving; may be repeated.", Arity = ArgumentArity.OneOrMore, AllowMultipleArgumentsPerToken = false };
        var only = new Option<bool>("--apply-only") { Description = "Exit after applying." };
        var schema = new Option<bool>("--print-apply-schema") { Description = "Print the JSON schema of registry files and exit." };
        var rotate = new Option<bool>("--rotate-keys") { Description = "Publish the next signing key now; it signs once everybody can have it. Exit. Also while the server runs." };
        var revoke = new Option<string>("--revoke-key") { Description = "Emergency: revoke this signing key at once, with all that it signed; if it signs, a new key takes its place. Exit. Also while the server runs.", HelpName = "KID" };
        var link = new Option<string>("--setup-link") { Description = "Print a one-time link with which this user (usr_…) sets a new password, and exit.", HelpName = "USER" };
        var hash = new Option<bool>("--hash-password") { Description = "Read a password from standard input, print its hash for a registry file, and exit." };
        var command = new RootCommand("McpAuth authorization server. Configuration: section McpAuth, by appsettings.json, environment (McpAuth__Issuer) or --McpAuth:Issuer=…")
        {
            apply, only, schema, rotate, revoke, link, hash,
        };
        command.TreatUnmatchedTokensAsErrors = false;
        CommandLine? line = null;
        command.SetAction(result =>
        {
            if (result.GetValue(schema))
            {
                Console.Out.Write(ApplySchema.Text);
                return 0;
            }
            if (result.GetValue(hash))
                return HashPassword();
            if (result.UnmatchedTokens.FirstOrDefault(token => !IsConfiguration(token)) is { } unknown)
            {
                Console.Error.WriteLine($"Unknown argument '{unknown}'. See --help.");
                return 2;
            }
            if (result.GetValue(only) && result.GetValue(apply) is not { Length: > 0 })
            {
                Console.Error.WriteLine("--apply-only needs at least one --apply FILE.");
                return 2;
            }
            line = new CommandLine(result.GetValue(apply) ?? [], result.GetValue(only), result.GetValue(rotate), result.GetValue(revoke), result.GetValue(link), [.. result.UnmatchedTokens]);
            return 0;
        });
        var exit = command.Parse(args).Invoke();
        return (line, exit);
    }

    private static int HashPassword()
    {
        if (Console.In.ReadLine() is not { } password || !Passwords.IsAdmissible(password))
        {
            Console.Error.WriteLine($"A password must have {Passwords.Rule}.");
            return 2;
        }
        Console.Out.WriteLine(Passwords.Hash(password));
        return 0;
    }

    // A mistyped option must not be taken for configuration that nobody reads.
    private static bool IsConfiguration(string token) =>
        token.StartsWith("--", StringComparison.Ordinal) && token.IndexOf('=', StringComparison.Ordinal) is var at and > 2
        && (token[2..at].Contains(':', StringComparison.Ordinal) || HostKeys.Contains(token[2..at]));
}
