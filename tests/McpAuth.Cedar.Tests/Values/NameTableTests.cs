using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Values;

/// <summary>Alone: the table is one for the process, and names of other tests may push out these.</summary>
[CollectionDefinition(nameof(NameTableTests), DisableParallelization = true)]
public sealed class NameTableAlone;

/// <summary>Data that are read after the policies hold the policies' objects; that is why comparing them is fast.</summary>
[Collection(nameof(NameTableTests))]
public sealed class NameTableTests
{
    [Fact]
    public void Entity_ThatAPolicyNames_IsTheSameObjectInDataReadLater()
    {
        Authorizer.CedarCompatible(PolicySet.Parse("""permit(principal == NameTableUser::"ann", action, resource is NameTableFolder);""").Value);

        EntityStore store = EntityStore.ParseJson("""[{"uid":{"type":"NameTableUser","id":"ann"},"attrs":{},"parents":[{"type":"NameTableFolder","id":"x"}]}]"""u8.ToArray()).Value;

        Entity ann = store.Find(new("NameTableUser", "ann"))!;
        Assert.Same(NameTable.Find(new EntityUid("NameTableUser", "ann")), ann.Uid);
        Assert.Same(NameTable.Find("NameTableFolder"), ann.Parents[0].Type);
    }

    [Fact]
    public void Entity_ThatNoPolicyNames_IsNotKept()
    {
        EntityStore.ParseJson("""[{"uid":{"type":"NameTableStranger","id":"x"},"attrs":{},"parents":[]}]"""u8.ToArray());

        Assert.Null(NameTable.Find(new EntityUid("NameTableStranger", "x")));
    }

    [Fact]
    public void Name_ThatIsLong_IsNotKept()
    {
        var uid = new EntityUid("NameTableLong", new string('x', 100));

        Assert.Same(uid, NameTable.Keep(uid));
        Assert.Null(NameTable.Find(uid));
    }
}
