using McpAuth.Protocol.Jose;
using McpAuthServer.Abuse;
using McpAuthServer.Accounts;
using McpAuthServer.Admin;
using McpAuthServer.Approvals;
using McpAuthServer.Attestation;
using McpAuthServer.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Authorize;
using McpAuthServer.AuthZen;
using McpAuthServer.CallApprovals;
using McpAuthServer.Clients;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Clients.Registrations;
using McpAuthServer.Consents;
using McpAuthServer.Delegation;
using McpAuthServer.Federation;
using McpAuthServer.Grants;
using McpAuthServer.GuardFeed;
using McpAuthServer.Http;
using McpAuthServer.Introspection;
using McpAuthServer.Keys;
using McpAuthServer.Logout;
using McpAuthServer.Pages;
using McpAuthServer.People;
using McpAuthServer.Policies;
using McpAuthServer.Registry;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Storage;
using McpAuthServer.Tasks;
using McpAuthServer.Tokens;
using McpAuthServer.UserInfo;

namespace McpAuthServer;

/// <summary>The parts of the server, core before edge before slices.</summary>
internal static class ServerServices
{
    public static void AddMcpAuthServer(this IServiceCollection services, ServerOptions options, Issuer issuer)
    {
        Directory.CreateDirectory(options.DataDirectory);
        services.AddSingleton(options);
        services.AddSingleton(issuer);
        services.AddStore(store =>
        {
            store.Provider = options.Postgres is null ? StoreOptions.Sqlite : StoreOptions.Postgres;
            store.Path = Path.Combine(options.DataDirectory, "mcpauth.db");
            store.ConnectionString = options.Postgres;
            store.QueueLength = options.CommitQueue;
            if (options.DecisionRetention > store.KeepDecided)
                store.KeepDecided = options.DecisionRetention;
        });
        services.AddSingleton(KeyEncryptionKeySource.Load(options));
        services.AddSingleton<SigningKeyReader>();
        services.AddSingleton<SigningKeyRing>();
        services.AddHostedService(p => p.GetRequiredService<SigningKeyRing>());
        services.AddSingleton<SigningKeys>();
        services.AddHostedService<KeyRotation>();
        services.AddSingleton<NonceKey>();
        services.AddSingleton<PolicyKey>();
        services.AddSingleton(p => new ProofNonces(p.GetRequiredService<NonceKey>().Value, p.GetRequiredService<TimeProvider>()));
        services.AddCors(Cors.Configure);

        // Registry
        services.AddSingleton<RegistryReader>();
        services.AddSingleton<RegistryCache>();
        services.AddHostedService(p => p.GetRequiredService<RegistryCache>());
        services.AddSingleton<RegistryApply>();
        services.AddSingleton<AgentReviews>();
        services.AddHostedService(p => p.GetRequiredService<AgentReviews>());

        // Core
        services.AddSingleton<AuditTrail>();
        services.AddSingleton(p => new RateLimits(options.RateLimits, p.GetRequiredService<TimeProvider>()));
        services.AddSingleton<AbuseRecord>();
        services.AddSingleton<IssuedTokens>();
        services.AddSingleton<TaskStories>();
        services.AddSingleton<AccessTokens>();
        services.AddSingleton<IdTokens>();
        services.AddSingleton<FetchPolicy>();
        services.AddSingleton<FetchNetwork>();
        services.AddSingleton<DocumentFetcher>();
        services.AddSingleton<KeySets>();
        services.AddSingleton<ClientDocuments>();
        services.AddSingleton<ClientRows>();
        services.AddSingleton<ClientDirectory>();
        services.AddSingleton<RegistrationDesk>();
        services.AddHostedService<RegistrationExpiry>();
        services.AddSingleton<GuardDirectory>();
        services.AddSingleton<InstanceKeys>();
        services.AddSingleton<IssuerKeyRows>();
        services.AddSingleton<IssuerKeys>();
        services.AddSingleton<EvidenceVerifier>();
        services.AddSingleton<IdJagVerifier>();
        services.AddSingleton<Subjects>();
        services.AddSingleton<EnterpriseConsents>();
        services.AddSingleton(TrustedAuthorities.Load(options.Mtls.TrustedAuthorities));
        services.AddSingleton<CertificateAuthentication>();
        services.AddSingleton<ClientAuthenticator>();
        services.AddSingleton<PolicyDirectory>();
        services.AddSingleton<PolicyReleases>();
        services.AddSingleton<PolicyVersions>();
        services.AddSingleton<PolicyRequests>();
        services.AddSingleton<IssuancePolicy>();
        services.AddSingleton<TaskStore>();
        services.AddSingleton<GrantStore>();
        services.AddSingleton<InstanceStore>();
        services.AddSingleton<SessionTasks>();
        services.AddSingleton<TokenStates>();
        services.AddSingleton<RefreshFamilies>();
        services.AddSingleton<PersonSessions>();
        services.AddSingleton<PushedRequests>();
        services.AddSingleton<PolledRequests>();
        services.AddSingleton<DeviceRequests>();
        services.AddSingleton<BackchannelRequests>();
        services.AddHostedService<BackchannelExpiry>();
        services.AddSingleton<AuthorizationRequests>();
        services.AddSingleton<ConsentStore>();
        services.AddSingleton<ApprovalStore>();
        services.AddSingleton<Approvers>();
        services.AddSingleton<ApprovalNotices>();
        services.AddHostedService<ApprovalUpkeep>();
        services.AddHostedService(p => p.GetRequiredService<ApprovalNotices>());
        services.AddSingleton<CodeStore>();
        services.AddSingleton<CodeIssuer>();
        services.AddSingleton<AuthorizeDesk>();
        services.AddHostedService<TaskDeadlines>();

        services.AddPeople();

        // Edge
        services.AddSingleton<ClientAddress>();
        services.AddSingleton<RequestCertificate>();
        services.AddSingleton<EvidenceReader>();
        services.AddSingleton<RequestLimits>();
        services.AddPages();
        services.AddSingleton<ProofReader>();
        services.AddSingleton<TokenPresenter>();
        services.AddSingleton<ClientCallers>();
        services.AddSingleton<ClientRequests>();
        services.AddSingleton<AgentCallers>();
        services.AddSingleton<GuardCallers>();
        services.AddSingleton<AdminCallers>();

        // Slices
        services.AddSingleton<PersonAt>();
        services.AddSingleton<TaskParents>();
        services.AddSingleton<DownstreamExchange>();
        services.AddSingleton<DelegatedWork>();
        services.AddSingleton<CodeRedemption>();
        services.AddSingleton<IGrant, AuthorizationCodeGrant>();
        services.AddSingleton<IGrant, DeviceCodeGrant>();
        services.AddSingleton<IGrant, CibaGrant>();
        services.AddSingleton<IGrant, RefreshTokenGrant>();
        services.AddSingleton<IGrant, ClientCredentialsGrant>();
        services.AddSingleton<IGrant, TokenExchangeGrant>();
        services.AddSingleton<IGrant, AssertionGrant>();
        services.AddSingleton<WorkloadGrant>();
        services.AddSingleton<IdentityAssertionGrant>();
        services.AddSingleton<EnterpriseWork>();
        services.AddSingleton<OwnWork>();
        services.AddSingleton<Grantor>();
        services.AddSingleton<AccountReader>();
        services.AddSingleton<AccountDesk>();
        services.AddSingleton<ConsentReader>();
        services.AddSingleton<ConsentTickets>();
        services.AddSingleton<ConsentDesk>();
        services.AddSingleton<ApprovalWork>();
        services.AddSingleton<ApprovalDesk>();
        services.AddSingleton<IdentityCallers>();
        services.AddSingleton<LogoutRequests>();
        services.AddSingleton<LogoutTickets>();
        services.AddSingleton<LogoutDesk>();
        services.AddSingleton<Askers>();
        services.AddSingleton<IntrospectionAnswers>();
        services.AddSingleton<TaskDesk>();
        services.AddSingleton<EntryDesk>();
        services.AddSingleton<InstanceDesk>();
        services.AddSingleton<WorkDesk>();
        services.AddSingleton<RevocationDesk>();
        services.AddSingleton<PolicyDesk>();
        services.AddSingleton<ApprovalsDesk>();
        services.AddSingleton<ToolDesk>();
        services.AddSingleton<DecisionDesk>();
        services.AddSingleton<EvaluationCallers>();
        services.AddSingleton<Evaluator>();
        services.AddSingleton<ArgsKeys>();
        services.AddSingleton<RevocationTail>();
        services.AddSingleton<RevocationFeed>();
        services.AddSingleton<StreamDirectory>();
    }

    /// <summary>
    /// Clients put secrets where they do not belong. The host's own request lines show the query, and are written before any code of ours
    /// could refuse it, so no configuration of levels brings them back (invariant 8).
    /// </summary>
    public static void WithoutQueries(this ILoggingBuilder logging)
    {
        foreach (var category in new[] { "Microsoft.AspNetCore.Hosting.Diagnostics", "Microsoft.AspNetCore.Server.Kestrel.BadRequests" })
            logging.AddFilter(category, LogLevel.Warning);
        // It warns that keys are not encrypted; they are, by whoever stores them.
        logging.AddFilter("Microsoft.AspNetCore.DataProtection.KeyManagement.XmlKeyManager", LogLevel.Error);
    }
}
